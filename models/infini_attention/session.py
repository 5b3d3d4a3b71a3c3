"""A document, an engine and a state together: what reading, asking and summarising are made of."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from .documents import Document
from .documents.reading import DOCUMENT_END, Pages, ReadingInterrupted, blocks_within, what_was_read
from .memory.state import MemoryState, Source
from .model.loading import Loaded
from .reporting import SILENT, Advance, Reporter
from .text.kept import ATTACHMENT, KeptText, pack, unpack

_LAST_WORDS = 80


class Session:
    """An engine, its model, and the documents that it has read.

    Args:
        loaded: The model.
        reporter: Where progress and notes go.
        state: What to start from.
        keep_text: Whether the text of documents stays beside the memory, for looking back.

        stoppable: Gives a context for reading, and what tells inside whether to stop.

    Raises:
        StateError: If the state belongs to another model.
    """

    def __init__(
        self,
        loaded: Loaded,
        reporter: Reporter = SILENT,
        state: MemoryState | None = None,
        *,
        keep_text: bool = True,
        stoppable: Callable[[], AbstractContextManager[Callable[[], bool]]] = lambda: contextlib.nullcontext(
            lambda: False
        ),
    ) -> None:
        self.loaded = loaded
        self.reporter = reporter
        self.engine = loaded.engine()
        self.keep_text, self.stoppable = keep_text, stoppable
        self.sources: list[Source] = []
        self.texts: list[KeptText] = []
        if state is not None:
            self.engine.restore(state, loaded.origin)
            self.sources.extend(state.sources)
            if ATTACHMENT in state.attachments:
                self.texts.extend(unpack(state.attachments[ATTACHMENT]))

    def read(
        self,
        documents: Sequence[Document],
        *,
        heard: Callable[[int, int], None] | None = None,
        interrupted: Callable[[], bool] | None = None,
    ) -> None:
        """Read documents, one after the other, each encoded by itself and followed by a blank line.

        Args:
            documents: In the order in which they are read.
            heard: Called after each segment with the number of the document, from 0, and how many of its characters
                have been read.
            interrupted: Asked before every segment whether to stop; what `stoppable` gives if None.

        Raises:
            ReadingInterrupted: It was told to stop.
        """
        ids = [
            torch.tensor(self.loaded.encode(document.text + DOCUMENT_END), dtype=torch.int32) for document in documents
        ]
        total = sum(len(each) for each in ids)
        read = 0
        self.reporter.detail(f"reading {total:,} tokens")
        asked = self.stoppable() if interrupted is None else contextlib.nullcontext(interrupted)
        with asked as stopped, self.reporter.progress(total, "reading") as advance:
            for number, (document, tokens) in enumerate(zip(documents, ids, strict=True)):
                hear = None if heard is None else functools.partial(heard, number)
                done = self._read(document, tokens, advance, stopped, hear)
                read += done
                left = len(documents) - number - 1
                if done < len(tokens):
                    text = self._decode(tokens[:done])
                    pages = Pages(document).left(len(text))
                    raise ReadingInterrupted(read, total, pages, None if pages else text[-_LAST_WORDS:], left)
                if left and stopped():
                    raise ReadingInterrupted(read, total, None, None, left)

    def leave_unread(self, documents: Sequence[Document]) -> None:
        """Name documents as sources, without reading them into memory: what is told of them is told from their text."""
        for document in documents:
            self.sources.append(_source(document, 0))
            self.reporter.note(f"{document.name}: gone through chapter by chapter, not read into memory")

    def remember(self, ids: list[int], source: Source) -> None:
        """Read tokens that are not a document's, such as a question and its answer."""
        self.engine.read(ids)
        self.sources.append(source)

    def snapshot(self) -> MemoryState:
        """Everything read so far, as a state that can be saved."""
        attachments = {ATTACHMENT: pack(self.texts)} if self.texts else {}
        return dataclasses.replace(
            self.engine.snapshot(self.loaded.origin), sources=tuple(self.sources), attachments=attachments
        )

    def _read(
        self,
        document: Document,
        ids: Any,
        advance: Advance,
        interrupted: Callable[[], bool],
        heard: Callable[[int], None] | None,
    ) -> int:
        engine, segments, done = self.engine, self.engine.cache.segments, 0
        pages, characters = Pages(document), 0
        while done < len(ids) and not interrupted():
            # Up to the end of the open segment: between two segments the engine can be stopped and saved.
            piece = ids[done : done + engine.config.segment_length - len(engine.open_ids)]
            engine.read(piece)
            done += len(piece)
            if heard is not None or document.pages is not None:
                # Piece by piece, which is near enough; decoding everything again each time would not be quick.
                characters += len(self._decode(piece))
            advance(len(piece), pages.place(characters))
            if heard is not None:
                heard(characters)
        if done:
            self.sources.append(_source(document, done))
            if self.keep_text:
                whole = done == len(ids)
                blocks = document.blocks if whole else blocks_within(document, len(self._decode(ids[:done])))
                self.texts.append(KeptText(document.name, blocks))
        self.reporter.note(what_was_read(document, done, engine.cache.segments - segments, len(engine.open_ids)))
        return done

    def _decode(self, ids: Any) -> str:
        return str(self.loaded.tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False))


def _source(document: Document, tokens: int) -> Source:
    return Source(document.name, document.kind, document.sha256, document.pages_read, tokens, document.extractor)
