"""Notes on documents, chapter by chapter.

They are taken while the documents are read, each as soon as the chapter's last word is in memory; a model that was trained
for notes, or that has no memory, goes by the chapters alone, so nothing is read for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..memory.engine import Engine
from ..model.loading import Loaded
from ..reporting import Reporter
from ..text.kept import KeptText
from .chapters import Chapter, chapters
from .notes import Note, Writer


class Reading(Protocol):
    """What has read something, and has documents that wait to be read; such as a session."""

    loaded: Loaded
    reporter: Reporter
    texts: list[KeptText]

    @property
    def background(self) -> Engine:
        """What was read into memory, if the model can use it."""

    @property
    def all_texts(self) -> list[KeptText]:
        """Of all that was read, then of what waits."""

    def read_pending(self, heard: Callable[[int, int], None]) -> None:
        """Reads what waits; tells after each segment the number of the document and how many characters were read."""

    def leave_unread(self) -> None:
        """Names what waits as sources."""


class NoteTaker:
    """Takes notes on what was read, and on documents that wait to be read.

    Args:
        reading: What was read comes first.
        writer: Writes the notes.
        words: The number of chapters to about how many words each note has.

    Attributes:
        chapters: Of all sources, in order.
        names: Of the sources.
    """

    def __init__(self, reading: Reading, writer: Writer, words: Callable[[int], int]) -> None:
        self.reading, self.writer = reading, writer
        self.before = len(reading.texts)
        texts = reading.all_texts
        self.names = [text.name for text in texts]
        self.chapters = tuple(chapter for source, text in enumerate(texts) for chapter in chapters(source, text))
        self.words = words(len(self.chapters))

    def take(self, told: Callable[[Note], None] = lambda note: None) -> list[Note]:
        """Give the notes on all chapters, in order.

        Args:
            told: Called with each note as soon as it is there.
        """
        by_view = self.writer.adapter is not None or not self.reading.loaded.memory
        return self._by_view(told) if by_view else self._while_reading(told)

    def _by_view(self, told: Callable[[Note], None]) -> list[Note]:
        reading, notes = self.reading, list[Note]()
        reading.leave_unread()
        sizes = [len(reading.loaded.encode(chapter.text)) for chapter in self.chapters]
        with reading.reporter.progress(sum(sizes), "summarising") as advance:
            for chapter, size in zip(self.chapters, sizes, strict=True):
                notes.append(self.writer.note(reading.background, chapter, self.words))
                told(notes[-1])
                advance(size, self.label(chapter))
        return notes

    def _while_reading(self, told: Callable[[Note], None]) -> list[Note]:
        left, notes = deque(self.chapters), list[Note]()

        def until(source: int, characters: int) -> None:
            """Take the notes on all chapters that end before a place."""
            while left and (left[0].source, left[0].end) <= (source, characters):
                notes.append(self.writer.note(self.reading.background, left.popleft(), self.words))
                told(notes[-1])

        until(self.before, 0)
        self.reading.read_pending(lambda number, characters: until(self.before + number, characters))
        until(len(self.names), 0)
        return notes

    def label(self, chapter: Chapter) -> str:
        """What a reader calls a chapter; its source's name comes first where there are several."""
        own = [other for other in self.chapters if other.source == chapter.source]
        label = chapter.label(own.index(chapter), len(own))
        name = self.names[chapter.source]
        if len(self.names) == 1:
            return label
        return name if len(own) == 1 and chapter.title is None else f"{name}, {label}"
