"""Summaries by chapter, on the tiny model: it writes nothing of sense, so the text's own sentences have to stand in."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import SENTENCES, Infini, assert_error
from infini_attention import Engine
from infini_attention.documents import Block
from infini_attention.session import Session
from infini_attention.summary.notes import Writer
from infini_attention.summary.whole import note_words
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


def test_json_has_the_notes_and_how_much_was_kept(infini: Infini, book: Path) -> None:
    value = json.loads(infini("summarize", book, "--format", "json").out)
    assert [chapter["title"] for chapter in value["chapters"]] == ["Chapter 1", "Chapter 2", "Chapter 3"]
    assert 0 <= value["sentences"]["kept"] <= value["sentences"]["written"]


def test_notes_have_more_to_tell_than_the_whole_has_room_for() -> None:
    assert note_words(150, 40) == 40 and 4 * note_words(400, 4) == 600


def test_a_state_is_summarised_like_its_document(infini: Infini, book: Path, tmp_path: Path) -> None:
    state = tmp_path / "s.pt"
    assert infini("read", book, "-o", state).code == 0
    of_state = json.loads(infini("summarize", "--memory", state, "--format", "json").out)
    of_book = json.loads(infini("summarize", book, "--format", "json").out)
    assert [chapter["title"] for chapter in of_state["chapters"]] == [
        chapter["title"] for chapter in of_book["chapters"]
    ]
    assert infini("read", book, "--no-text", "-o", state).code == 0
    outcome = infini("summarize", "--memory", state, "--length", "5", "--format", "json")
    value = json.loads(outcome.out)
    assert (value["chapters"], value["sentences"]) == ([], None) and value["summary"]
    assert "from its memory alone" in outcome.err and "limit of 10 tokens" in outcome.err


def test_several_documents_are_told_apart(infini: Infini, book: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(CHAPTERS[2])
    out = infini("summarize", book, other, "--per-chapter", "--length", "20").out
    heads = [line.partition(":")[0] for line in out.splitlines()[:4]]
    assert heads == ["book.md, Chapter 1", "book.md, Chapter 2", "book.md, Chapter 3", "other.txt"]


def test_a_note_is_taken_with_its_chapter_read_and_not_the_rest(
    infini: Infini, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine that writes a note has read its chapter, and at most a segment of what follows."""
    seen = []
    note = Writer.note

    def spy(writer: Writer, engine: Engine, chapter: object, words: int) -> object:
        seen.append(engine.tokens_read)
        return note(writer, engine, chapter, words)  # type: ignore[arg-type]

    monkeypatch.setattr(Writer, "note", spy)
    total: list[int] = []
    read = Session.read_documents

    def read_and_count(session: Session, *arguments: Any, **options: Any) -> None:
        read(session, *arguments, **options)
        total.append(session.engine.tokens_read)

    monkeypatch.setattr(Session, "read_documents", read_and_count)
    assert infini("summarize", book, "--style", "outline").code == 0
    parts = [len(text) for text in CHAPTERS]
    shares = [sum(parts[: n + 1]) / sum(parts) for n in range(3)]
    for tokens, share in zip(seen, shares, strict=True):
        assert share * total[0] * 0.8 <= tokens <= share * total[0] * 1.25 + 64


def test_sentences_that_name_somebody_tell_more_than_speech_and_pronouns() -> None:
    named, plain, leaning, spoken = telling(
        ["At dawn Marta rowed over.", "The boat was late.", "She rowed back.", 'The smith said: "Row!"']
    )
    assert named > plain > leaning > spoken
    # Written large everywhere, or small as often, is no name.
    assert telling(["See the Boat.", "A boat."])[0] == telling(["See the ship."])[0]
    assert telling(["Don't row, Marta.", "The smith's boat."])[1] == plain


def test_what_the_model_writes_is_kept_where_the_text_bears_it_out(
    infini: Infini, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infini_attention.qa.turn import Turn

    def pieces(turn: Turn, engine: Engine) -> list[str]:
        return ["Marta found the letter under the bridge. Nobody was named Peregrine in 1812."]

    monkeypatch.setattr(Turn, "pieces", pieces)
    outcome = infini("summarize", book, "--per-chapter", "-v")
    first, second, *_ = outcome.out.splitlines()
    assert first.startswith("Chapter 1: Marta found the letter under the bridge. ")
    assert second.startswith("Chapter 2: Marta found the letter under the bridge. ")
    # The rest of a note is the text's own.
    assert {one.text for one in sentences(Block(first.partition(". ")[2]))} <= own(0)
    assert "Peregrine" not in outcome.out
    # Two a note, twice for the last one, where nothing was kept, and two for the whole.
    assert "3 of 10 sentences that the model wrote" in outcome.err


def test_fragments_do_not_stand_for_a_chapter(infini: Infini, tmp_path: Path) -> None:
    whole = "The lamp of the keeper was lit before the storm came to the harbour."
    text = "\n\n".join(
        ["The lamp. The storm! KEEPER. Harbour, lamp and storm,", whole, "and he lit the lamp of the storm"] * 9
    )
    (tmp_path / "log.txt").write_text(text)
    assert infini("summarize", tmp_path / "log.txt", "--length", "30").out == f"{whole}\n"
