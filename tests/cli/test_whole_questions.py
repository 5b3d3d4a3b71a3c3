"""Questions about the whole of a text, which no passage answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import Infini
from infini_attention.qa.whole import FromNotes, from_notes
from infini_attention.summary.taking import take_notes
from infini_attention.text.kept import KeptText
from infini_attention.text.notes import SourceNotes

BOOK = (
    "Marta Hale knew the river well. Every day Marta Hale walked to the mill and asked about the boats. "
    "Tom Reed said that the boats had gone. In the evening Marta Hale saw six lamps on the river. Then Tom Reed laughed. "
    "On the third day Marta Hale found a letter under the bridge and read it aloud. After that Tom Reed left the mill."
)


def told(question: str, notes: list[SourceNotes]) -> FromNotes | None:
    return from_notes(question, lambda: notes)


def looks_at_notes(question: str) -> bool:
    looked: list[str] = []
    from_notes(question, lambda: looked.append(question) or [])  # type: ignore[func-returns-value]
    return bool(looked)


@pytest.fixture(scope="module")
def notes() -> list[SourceNotes]:
    return [take_notes(KeptText.of("book", BOOK))]


@pytest.mark.parametrize(
    "question",
    [
        "What is this book about?",
        "what's it about",
        "What is the story about?",
        "What happens in the novel?",
        "Summarise this document",
        "Who is the main character?",
        "Who is the story's main character?",
        "What is the name of the main character?",
        "What is the main character's name?",
        "Who are the characters in this book?",
        "Who is the protagonist of the story?",
    ],
)
def test_they_are_known_by_their_words(question: str) -> None:
    assert looks_at_notes(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is the letter under the bridge about?",
        "Who is Tom Reed?",
        "Who is the main character's wife?",
        "About?",
        "",
    ],
)
def test_others_are_not(question: str) -> None:
    assert not looks_at_notes(question)


def test_they_are_answered_from_notes_and_people(notes: list[SourceNotes]) -> None:
    about = told("What is this book about?", notes)
    assert about is not None and about.rests_on and all(one in BOOK for one in about.rests_on)
    main, everybody = told("Who is the main character?", notes), told("Who are the characters?", notes)
    assert main is not None and main.text == "Marta Hale."
    assert everybody is not None and everybody.text == "Marta Hale and Tom Reed."
    assert told("Who is the main character?", [take_notes(KeptText.of("odd", "12 34"))]) is None
    assert told("Who is Tom Reed?", notes) is None


def test_ask_says_where_it_stands(infini: Infini, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    outcome = infini("ask", "-f", tmp_path / "book.txt", "Who is the main character?")
    assert outcome.code == 0 and outcome.out.startswith("Marta Hale.") and "book.txt" in outcome.out
