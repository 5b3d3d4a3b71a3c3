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
        words: The number of chapters to about how many words each note has.

    Attributes:
        chapters: Of all sources, in order.
        names: Of the sources.
    """

    def __init__(
        self, session: Session, documents: Sequence[Document], writer: Writer, words: Callable[[int], int]
    ) -> None:
        self.session, self.documents, self.writer = session, documents, writer
        self.before = len(session.texts)
        texts = [*session.texts, *(KeptText(document.name, document.blocks) for document in documents)]
        self.names = [text.name for text in texts]
        self.chapters = tuple(chapter for source, text in enumerate(texts) for chapter in chapters(source, text))
        self.words = words(len(self.chapters))

    def take(self, told: Callable[[Note], None] = lambda note: None) -> list[Note]:
        """Read the documents, and give the notes on all chapters, in order.

        Args:
            told: Called with each note as soon as it is there.
        """
        left, notes = deque(self.chapters), list[Note]()

        def until(source: int, characters: int) -> None:
            """Take the notes on all chapters that end before a place."""
            while left and (left[0].source, left[0].end) <= (source, characters):
                notes.append(self.writer.note(self.session.engine, left.popleft(), self.words))
                told(notes[-1])

        until(self.before, 0)
        self.session.read(self.documents, heard=lambda number, characters: until(self.before + number, characters))
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
