"""Documents into an engine, segment by segment: with progress, checkpoints to go on from, and a way to stop."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .documents import Block, Document
from .documents.reading import DOCUMENT_END, Pages, ReadingInterrupted, blocks_within, what_was_read
from .errors import StateError
from .memory.engine import Engine
from .memory.reading_journal import ReadingJournal
from .memory.state import fingerprint
from .model.loading import Loaded
from .reporting import Advance, Reporter


@dataclasses.dataclass(frozen=True)
class Part:
    """What was read of a document.

    Attributes:
        document: the document.
        tokens: tokens that were read of it.
        blocks: its text, as far as it was read.
    """

    document: Document
    tokens: int
    blocks: tuple[Block, ...]


class Ingestion:
    """One reading of documents: each is encoded by itself and followed by a blank line.

    Args:
        loaded: the model.
        engine: what reads; it may have read before.
        documents: in the order in which they are read.
        reporter: where notes and progress go.
        journal: where checkpoints are kept, entered.

    Attributes:
        total: tokens of all documents.
        read: tokens of them that were read, now or before.
    """

    def __init__(
        self,
        loaded: Loaded,
        engine: Engine,
        documents: Sequence[Document],
        reporter: Reporter,
        *,
        journal: ReadingJournal | None = None,
    ) -> None:
        self._loaded, self._engine, self._documents = loaded, engine, documents
        self._reporter, self._journal = reporter, journal
        self._ids = [
            torch.tensor(loaded.encode(document.text + DOCUMENT_END), dtype=torch.int32) for document in documents
        ]
        self._open_before = len(engine.open_ids)
        self.total = sum(map(len, self._ids))
        self.read = 0
        self._place = ""

    def parts(self, stopped: Callable[[], bool]) -> Iterator[Part]:
        """Reads, and gives each document when it has been read, the last one perhaps in part.

        Args:
            stopped: asked before every segment whether to stop.
        """
        before = self._gone_on_from()
        self._reporter.detail(f"reading {self.total - before:,} tokens")
        with self._reporter.progress(self.total, "reading") as advance:
            for number, ids in enumerate(self._ids):
                if number and self.read >= before and stopped():
                    break
                part = self._part(number, min(before - self.read, len(ids)), advance, stopped)
                if part.tokens:
                    yield part
                self._reporter.note(self._told(part))
                if part.tokens < len(ids):
                    break
        if self.read < self.total:
            self._keep()

    def require_all(self) -> None:
        """Tells that reading was stopped, if it was.

        Raises:
            ReadingInterrupted: so.
        """
        if self.read < self.total:
            raise ReadingInterrupted(self.read, self.total, self._place)

    def _part(self, number: int, before: int, advance: Advance, stopped: Callable[[], bool]) -> Part:
        document, ids, engine = self._documents[number], self._ids[number], self._engine
        pages, characters, done = Pages(document), 0, 0
        counted = document.pages is not None
        while done < len(ids) and (done < before or not stopped()):
            if done < before:
                piece = ids[:before]
            else:
                # Up to the end of the open segment: between two segments the engine can be stopped and saved.
                piece = ids[done : done + engine.config.segment_length - len(engine.open_ids)]
                engine.read(piece)
            done += len(piece)
            self.read += len(piece)
            if counted:
                # Piece by piece, which is near enough; decoding everything again each time would not be quick.
                characters += len(self._decode(piece))
            place = pages.place(characters)
            self._place = f"{place}, {document.name}" if place else document.name
            advance(len(piece), place)
            if self._journal is not None and self._journal.due:
                self._keep()
        whole = done == len(ids)
        blocks = document.blocks if whole else blocks_within(document, len(self._decode(ids[:done])))
        return Part(document, done, blocks)

    def _gone_on_from(self) -> int:
        """Tokens that were read before; the engine has them then."""
        if self._journal is None:
            return 0
        engine, origin = self._engine, self._loaded.origin
        start = engine.snapshot(origin)
        about = {
            "origin": [origin.base, origin.adapter, origin.config],
            # Another kind of device, or of numbers, gives other bits.
            "numbers": [engine.device.type, str(engine.model.dtype), engine.use_memory],
            "start": [start.tokens, start.segments, fingerprint(start.tensors)],
            "documents": [hashlib.sha256(ids.numpy().tobytes()).hexdigest() for ids in self._ids],
        }
        state = self._journal.begin(about)
        if state is None or not 0 < state.tokens - start.tokens <= self.total:
            return 0
        try:
            engine.restore(state, origin)
        except StateError:
            # Of the same key, and yet not of this model: somebody has made it.
            engine.restore(start, origin)
            return 0
        before = state.tokens - start.tokens
        self._reporter.note(
            f"going on from {self._journal.folder}: {before:,} of {self.total:,} tokens were read before"
        )
        return before

    def _keep(self) -> None:
        if self._journal is not None and self.read:
            self._journal.put(self._engine.snapshot(self._loaded.origin))

    def _told(self, part: Part) -> str:
        length, end = self._engine.config.segment_length, self._open_before + self.read
        segments = end // length - (end - part.tokens) // length
        return what_was_read(part.document, part.tokens, segments, len(self._engine.open_ids))

    def _decode(self, ids: Tensor) -> str:
        tokenizer: Any = self._loaded.tokenizer
        return str(tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False))
