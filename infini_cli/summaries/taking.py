"""Notes taken while documents are read: each chapter's as soon as its last word is in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from infini_cli.documents import Document
from infini_cli.lookback.kept import KeptText
from infini_cli.session import Session
from infini_cli.summaries.chapters import Chapter, chapters
from infini_cli.summaries.notes import Note, Writer


class NoteTaker:
    """Takes notes on what a session has read, and on what it reads.

    Args:
        session: Its texts come first, then the documents.
        documents: To be read.
        writer: Writes the notes.
        words: Of each note, about.
        told: Called with each note as soon as it is there.

    Attributes:
        notes: Those taken so far, in order.
    """

    def __init__(
        self,
        session: Session,
        documents: Sequence[Document],
        writer: Writer,
        words: Callable[[int], int],
        told: Callable[[Note], None],
    ) -> None:
        self.session, self.documents, self.writer, self.told = session, documents, writer, told
        self.before = len(session.texts)
        texts = [*session.texts, *(KeptText(document.name, document.blocks) for document in documents)]
        self.names = [text.name for text in texts]
        self._left: deque[Chapter] = deque(
            chapter for source, text in enumerate(texts) for chapter in chapters(source, text)
        )
        self.chapters = tuple(self._left)
        self.words = words(len(self.chapters))
        self.notes: list[Note] = []

    def take(self) -> list[Note]:
        """Read the documents, take all notes, and give them."""
        self._until(self.before, 0)
        self.session.read(
            self.documents, heard=lambda number, characters: self._until(self.before + number, characters)
        )
        self._until(len(self.names), 0)
        return self.notes

    def label(self, chapter: Chapter) -> str:
        """What a reader calls a chapter; its source's name comes first where there are several."""
        own = [other for other in self.chapters if other.source == chapter.source]
        label = chapter.label(own.index(chapter), len(own))
        name = self.names[chapter.source]
        if len(self.names) == 1:
            return label
        return name if len(own) == 1 and chapter.title is None else f"{name}, {label}"

    def _until(self, source: int, characters: int) -> None:
        """Take the notes on all chapters that end before a place."""
        while self._left and (self._left[0].source, self._left[0].end) <= (source, characters):
            note = self.writer.note(self.session.engine, self._left.popleft(), self.words)
            self.notes.append(note)
            self.told(note)
