"""Documents to summaries: notes on their chapters, and a whole made of the notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from .notes import Note, Tally, Writer
from .taking import NoteTaker, Reading
from .whole import note_words, summary

PARAGRAPH, BULLETS, OUTLINE = STYLES = ("paragraph", "bullets", "outline")
# The least that an outline's note is worth, in words.
LEAST_NOTE = 15


@dataclasses.dataclass(frozen=True)
class Summary:
    """A summary, and the notes that it was made of.

    Attributes:
        style: one of ``STYLES``.
        sentences: of the whole; those of the notes where the style is an outline.
        notes: on all chapters, in order.
        labels: of the chapters, as a reader calls them.
        tally: of the sentences that the model wrote, how many the text bears out.
    """

    style: str
    sentences: tuple[str, ...]
    notes: tuple[Note, ...]
    labels: tuple[str, ...]
    tally: Tally

    @property
    def text(self) -> str:
        """The whole, in its style."""
        if self.style == OUTLINE:
            return "\n".join(note.text for note in self.notes)
        return "\n".join(f"- {one}" for one in self.sentences) if self.style == BULLETS else " ".join(self.sentences)


class Summarizer:
    """Takes notes on what a session has read and on documents that wait, and makes a whole of them.

    Args:
        reading: the session.
        words: of the whole, about.
        style: one of ``STYLES``; an outline is made of the notes alone.
        focus: what to tell above all; ``None``: everything.
    """

    def __init__(self, reading: Reading, *, words: int, style: str = PARAGRAPH, focus: str | None = None) -> None:
        self.reading, self.words, self.style = reading, words, style
        self.writer = Writer(reading.loaded, focus)
        self.taker = NoteTaker(reading, self.writer, self._note_words)

    def run(self, on_note: Callable[[Note, str], None] = lambda note, label: None) -> Summary:
        """Take the notes, and make the summary.

        Args:
            on_note: called with each note and its chapter's label as soon as it is there.
        """
        notes = self.taker.take(lambda note: on_note(note, self.taker.label(note.chapter)))
        if self.style == OUTLINE:
            sentences = [sentence for note in notes for sentence in note.sentences]
        else:
            sentences = summary(self.writer, self.reading.background, notes, self.words)
        labels = tuple(self.taker.label(note.chapter) for note in notes)
        return Summary(self.style, tuple(sentences), tuple(notes), labels, self.writer.tally)

    def _note_words(self, chapters: int) -> int:
        if self.style == OUTLINE or chapters == 1:
            return max(LEAST_NOTE, self.words // chapters)
        return note_words(self.words, chapters)
