"""Summaries by chapter, and the notes that a state keeps for them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from cli_helpers import SENTENCES, Infini, assert_error
from infini_attention.documents import Block
from infini_attention.text.passages import sentences
from infini_attention.text.telling import telling

CHAPTERS = [" ".join(SENTENCES[first : first + 3] * 5) for first in (0, 2, 4)]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.md"
    path.write_text("\n\n".join(f"# Chapter {n + 1}\n\n{text}" for n, text in enumerate(CHAPTERS)))
    return path


def own(number: int) -> set[str]:
    return {sentence.text for sentence in sentences(Block(CHAPTERS[number]))}


def test_a_line_for_each_chapter_and_a_whole(infini: Infini, book: Path) -> None:
    outcome = infini("summarize", book, "--per-chapter", "--length", "60")
    assert outcome.code == 0, outcome.err
    *lines, empty, whole = outcome.out.splitlines()
    assert empty == ""
    assert [line.partition(":")[0] for line in lines] == ["Chapter 1", "Chapter 2", "Chapter 3"]
    for number, line in enumerate(lines):
        note = line.partition(": ")[2]
        assert {sentence.text for sentence in sentences(Block(note))} <= own(number)
    said = [sentence.text for sentence in sentences(Block(whole))]
    assert said and len(said) == len(set(said)) and len(whole.split()) <= 60


def test_styles(infini: Infini, book: Path) -> None:
    bullets = infini("summarize", book, "--style", "bullets", "--length", "60").out.splitlines()
    assert bullets and all(line.startswith("- ") for line in bullets)
    outline = infini("summarize", book, "--style", "outline", "--length", "60").out.splitlines()
    heads = [line for line in outline if not line.startswith("  - ")]
    assert heads == ["Chapter 1", "Chapter 2", "Chapter 3"]
    assert all(before != after or before.startswith("  ") for before, after in itertools.pairwise(outline))
    assert_error(infini("summarize", book, "--style", "poem"), 2, "poem", "outline")


def test_focus_chooses_what_is_told(infini: Infini, book: Path) -> None:
    plain = infini("summarize", book, "--length", "20").out
    asked = infini("summarize", book, "--length", "20", "--focus", "What did the clock strike?").out
    assert "clock struck four" in asked and asked != plain


def test_json_has_the_sentences_of_the_whole_and_of_the_chapters(infini: Infini, book: Path) -> None:
    value = json.loads(infini("summarize", book, "--format", "json").out)
    assert [chapter["title"] for chapter in value["chapters"]] == ["Chapter 1", "Chapter 2", "Chapter 3"]
    assert value["summary"] == " ".join(one["text"] for one in value["sentences"])
    for number, chapter in enumerate(value["chapters"]):
        assert {one["text"] for one in chapter["sentences"]} <= own(number)


def test_a_summary_loads_no_model(infini: Infini, book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = infini("summarize", book)
    monkeypatch.setenv("INFINI_MODEL", str(book.parent / "nowhere"))
    assert infini("summarize", book) == plain and plain.out
    assert_error(infini("summarize", book, "--model", book.parent / "nowhere"), 4, "nowhere")


def test_a_state_is_summarised_like_its_document(infini: Infini, book: Path, tmp_path: Path) -> None:
    state = tmp_path / "s.pt"
    assert infini("read", book, "-o", state).code == 0
    of_state = json.loads(infini("summarize", "--memory", state, "--format", "json").out)
    of_book = json.loads(infini("summarize", book, "--format", "json").out)
    assert [of_state[part] for part in ("summary", "chapters")] == [of_book[part] for part in ("summary", "chapters")]
    shown = json.loads(infini("state", "show", state, "--notes", "--format", "json").out)
    assert [len(one["sections"]) > 0 for one in shown["notes"][0]["chapters"]] == [True] * 3
    assert "Chapter 2" in infini("state", "show", state, "--notes").out
    assert infini("read", book, "--no-notes", "-o", state).code == 0
    assert_error(infini("state", "show", state, "--notes"), 3, "notes")
    on = tmp_path / "on.pt"
    assert infini("read", book, "--memory", state, "-o", on).code == 0
    assert_error(infini("state", "show", on, "--notes"), 3, "notes")
    assert json.loads(infini("summarize", "--memory", state, "--format", "json").out)["summary"] == of_book["summary"]
    assert infini("read", book, "--no-text", "-o", state).code == 0
    outcome = infini("summarize", "--memory", state, "--length", "5", "--format", "json")
    value = json.loads(outcome.out)
    assert (value["chapters"], value["sentences"]) == ([], []) and value["summary"]
    assert "from its memory alone" in outcome.err and "limit of 10 tokens" in outcome.err


def test_several_documents_are_told_apart(infini: Infini, book: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(CHAPTERS[2])
    out = infini("summarize", book, other, "--per-chapter", "--length", "20").out
    heads = [line.partition(":")[0] for line in out.splitlines()[:4]]
    assert heads == ["book.md, Chapter 1", "book.md, Chapter 2", "book.md, Chapter 3", "other.txt"]


def test_sentences_that_name_somebody_tell_more_than_speech_and_pronouns() -> None:
    named, plain, leaning, spoken = telling(
        ["At dawn Marta rowed over.", "The boat was late.", "She rowed back.", 'The smith said: "Row!"']
    )
    assert named > plain > leaning > spoken
    # Written large everywhere, or small as often, is no name.
    assert telling(["See the Boat.", "A boat."])[0] == telling(["See the ship."])[0]
    assert telling(["Don't row, Marta.", "The smith's boat sank."])[1] == plain


def test_fragments_do_not_stand_for_a_chapter(infini: Infini, tmp_path: Path) -> None:
    whole = "The lamp of the keeper was lit before the storm came to the harbour."
    text = "\n\n".join(
        ["The lamp. The storm! KEEPER. Harbour, lamp and storm,", whole, "and he lit the lamp of the storm"] * 9
    )
    (tmp_path / "log.txt").write_text(text)
    assert infini("summarize", tmp_path / "log.txt", "--length", "30").out == f"{whole}\n"
