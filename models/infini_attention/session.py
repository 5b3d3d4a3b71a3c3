"""A model, what it has read, and the texts of it: reading, asking and summarising, in Python as in the shell."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from .documents import Document, PageSelection, load_document
from .documents.source import document_of_text
from .errors import ModelUnavailable, StateError
from .ingestion import Ingestion
from .memory.cipher import StateCipher
from .memory.engine import Engine
from .memory.reading_journal import ReadingJournal
from .memory.state import MemoryState, Source
from .model.loading import Loaded, load_model, load_reader
from .qa.answer import MAX_TOKENS, Answer, Answerer, AnswerStream
from .reporting import SILENT, Reporter
from .summary.summarizer import PARAGRAPH, ChapterSummary, Summary, summary
from .summary.taking import take_notes
from .text import kept, notes
from .text.kept import KeptText, check_room, load_state
from .text.notes import SourceNotes

WORDS = 150


def load(
    model: str | None = None,
    *,
    memory: str | Path | None = None,
    passphrase: str | None = None,
    **options: Any,
) -> Session:
    """A session that has read nothing, or what a saved state holds.

    Args:
        model: a recipe's name, a folder, or a hub id (see ``recipe.find``); the default model if left out.
        memory: a state that ``Session.save`` or ``infini read`` wrote.
        passphrase: opens the state, and encrypts what the session saves.
        options: see ``loading.load_model``.

    Raises:
        ModelUnavailable: the model is unknown or cannot be had.
        StateError: the state is damaged.
    """
    cipher = None if passphrase is None else StateCipher(passphrase)
    state = None if memory is None else load_state(Path(memory), cipher)
    return Session(load_model(model, **options) if model else load_model(**options), state=state, cipher=cipher)


def never() -> AbstractContextManager[Callable[[], bool]]:
    """A context in which nothing asks for reading to stop."""
    return contextlib.nullcontext(lambda: False)


class Session:
    """An engine, its model, and the documents that it has read or is asked about.

    Args:
        loaded: the model, or what loads it when it is first needed: for summaries it is not.
        reporter: where notes and progress go.
        state: what to start from. Its text serves any model; its memory is checked when it is first used.
        keep_text: whether the text of documents stays beside the memory, so that answers can be looked up in it.
        keep_notes: whether notes on them do, so that they can be summarised; never where the text does not stay, since notes
            are in its words.
        stoppable: gives a context for reading, and what tells inside whether to stop.
        cipher: encrypts what is saved; that of the state if left out.
        reading: loads the model that answers from passages, where another one does than ``loaded``; called when a question is
            first looked up in a text.

    Attributes:
        sources: what was read, in order.
        texts: the text of it, as far as it was kept.
        pending: documents that are asked about and summarised, and not read into memory yet.
    """

    def __init__(
        self,
        loaded: Loaded | Callable[[], Loaded],
        reporter: Reporter = SILENT,
        state: MemoryState | None = None,
        *,
        keep_text: bool = True,
        keep_notes: bool = True,
        stoppable: Callable[[], AbstractContextManager[Callable[[], bool]]] = never,
        cipher: StateCipher | None = None,
        reading: Callable[[Loaded], Loaded | None] = load_reader,
    ) -> None:
        self._reading = reading
        self._load, self.reporter = (lambda: loaded) if isinstance(loaded, Loaded) else loaded, reporter
        self.keep_text, self.keep_notes, self.stoppable = keep_text, keep_text and keep_notes, stoppable
        self.sources: list[Source] = []
        self.texts: list[KeptText] = []
        self.pending: list[Document] = []
        self._state = state
        self._answerers: dict[bool, Answerer] = {}
        self._notes: dict[int, SourceNotes] = {}
        self.cipher = cipher
        if state is not None:
            self.sources.extend(state.sources)
            self.cipher = cipher or state.cipher
            if kept.ATTACHMENT in state.attachments:
                self.texts.extend(kept.unpack(state.attachments[kept.ATTACHMENT]))
            if notes.ATTACHMENT in state.attachments:
                self._notes.update(enumerate(notes.unpack(state.attachments[notes.ATTACHMENT])))
            elif self.texts:
                # Whoever left them out of it does not want them with the next document.
                self.keep_notes = False

    @functools.cached_property
    def loaded(self) -> Loaded:
        """The model.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        return self._load()

    @functools.cached_property
    def reading(self) -> Loaded | None:
        """The model that answers from passages, where that is another one.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        return self._reading(self.loaded)

    @functools.cached_property
    def _engine(self) -> Engine:
        return self.loaded.engine()

    @property
    def engine(self) -> Engine:
        """What was read into memory: nothing, where the model has none.

        Raises:
            StateError: the state that the session started from belongs to another model.
        """
        if self._state is not None and self.loaded.memory:
            self._engine.restore(self._state, self.loaded.origin)
            self._state = None
        return self._engine

    @property
    def memory_fits(self) -> bool:
        """Whether the memory that the session started from is the model's own; so it is where it started from nothing."""
        if self._state is None:
            return True
        try:
            self._state.require(self.loaded.origin)
        except StateError:
            return False
        return self.loaded.memory

    @property
    def background(self) -> Engine:
        """What was read into memory, or nothing where that belongs to another model: for what goes by text in view."""
        return self.engine if self.memory_fits else self.loaded.engine(use_memory=False)

    @property
    def tokens_read(self) -> int:
        """Tokens read into memory, whichever model read them."""
        if self._state is not None:
            return self._state.tokens
        return self._engine.tokens_read if "_engine" in vars(self) else 0

    @property
    def segments(self) -> int:
        """Segments closed, whichever model read them."""
        if self._state is not None:
            return self._state.segments
        return self._engine.cache.segments if "_engine" in vars(self) else 0

    @property
    def all_texts(self) -> list[KeptText]:
        """The text of all that was read, and of what waits to be read."""
        return [*self.texts, *(KeptText(document.name, document.blocks) for document in self.pending)]

    @property
    def notes(self) -> list[SourceNotes]:
        """The notes on all that was read, and on what waits; those that are not there yet are taken now."""
        return self._notes_on(self.all_texts) or list(self._notes.values())

    @property
    def all_sources(self) -> list[Source]:
        """What was read, and what waits, of which no token was."""
        return [*self.sources, *(_source(document, 0) for document in self.pending)]

    def read(self, *sources: str | Path | Document, pages: str | None = None, output: str | Path | None = None) -> Self:
        """Read documents into memory, in this order.

        Args:
            sources: files (PDF, Markdown, text and others), or documents.
            pages: of a PDF, such as ``1-40,55``; all if left out.
            output: where the state goes, if anywhere. A journal stands beside it meanwhile: where reading was stopped,
                however that was, the same call goes on from it.

        Returns:
            The session itself.

        Raises:
            InputError: one cannot be read or has no text.
            InfiniError: the state cannot be written, or another process reads into it.
        """
        selection = None if pages is None else PageSelection.parse(pages)
        with contextlib.ExitStack() as stack:
            journal = None
            if output is not None:
                journal = stack.enter_context(ReadingJournal(Path(output), self.reporter, self.cipher))
            self.read_documents(
                [one if isinstance(one, Document) else load_document(str(one), pages=selection) for one in sources],
                journal=journal,
            )
            if journal is not None:
                journal.finish(self.snapshot())
        return self

    def read_text(self, text: str, name: str = "text") -> Self:
        """Read a text into memory; ``name`` is what answers call it."""
        self.read_documents([document_of_text(text, name)])
        return self

    def add(self, documents: Sequence[Document]) -> None:
        """Take documents in, to be asked about and summarised; they are read into memory when that is needed."""
        self.pending.extend(documents)
        self._answerers.clear()

    def remembered(self) -> Engine:
        """What the session has read; documents that wait are read now, if the model has a memory.

        Raises:
            ReadingInterrupted: see ``read_documents``.
            StateError: see ``engine``.
        """
        if self.pending and self.loaded.memory:
            self.read_pending()
        return self.engine

    def answerer(self, *, look_back: bool = True) -> Answerer:
        """What answers questions about the texts; it keeps what it has found out about them."""
        if look_back not in self._answerers:
            self._answerers[look_back] = Answerer(
                self.loaded,
                self.all_texts if look_back else (),
                notes=lambda: self.notes,
                reading=lambda: self.reading,
            )
        return self._answerers[look_back]

    def answering(self, question: str, *, look_back: bool = True, max_tokens: int = MAX_TOKENS) -> AnswerStream:
        """The answer to a question, piece by piece: see ``ask``."""
        by_text = look_back and not self.memory_fits
        remembered = (lambda: self.background) if by_text else self.remembered
        return self.answerer(look_back=look_back).stream(question, remembered, max_tokens=max_tokens)

    def ask(self, question: str, *, look_back: bool = True, max_tokens: int = MAX_TOKENS) -> Answer:
        """The answer to a question about what was read.

        Args:
            question: as a person puts it.
            look_back: look the answer up in the text; ``False`` asks the memory alone.
            max_tokens: after so many the answer ends with its sentence.

        Raises:
            StateError: the memory is needed, and belongs to another model.
        """
        return self.answering(question, look_back=look_back, max_tokens=max_tokens).finish()

    def summarize(
        self,
        words: int = WORDS,
        *,
        style: str = PARAGRAPH,
        focus: str | None = None,
        on_chapter: Callable[[ChapterSummary], None] = lambda chapter: None,
    ) -> Summary:
        """A summary of what was read, and of documents that wait, which are not read into memory for it.

        Args:
            words: of the whole, about.
            style: one of ``summarizer.STYLES``.
            focus: what to tell above all.
            on_chapter: called with each chapter as soon as it is told.
        """
        taken = list(self._taken(self.all_texts, focus)) if focus else self.notes
        return summary(taken, words, style=style, focus=focus, on_chapter=on_chapter)

    def _notes_on(self, texts: Sequence[KeptText]) -> list[SourceNotes]:
        """Notes on the first of all texts."""
        missing = [number for number in range(len(texts)) if number not in self._notes]
        for number, taken in zip(missing, self._taken([texts[number] for number in missing]), strict=True):
            self._notes[number] = taken
        return [self._notes[number] for number in range(len(texts))]

    def _taken(self, texts: Sequence[KeptText], focus: str | None = None) -> Iterator[SourceNotes]:
        sizes = [sum(len(block.text) for block in text.blocks) for text in texts]
        if not texts:
            return
        with self.reporter.progress(sum(sizes), "taking notes") as advance:
            for text, size in zip(texts, sizes, strict=True):
                yield take_notes(text, focus)
                advance(size, text.name)

    def remember(self, answer: Answer) -> None:
        """Read a question and its answer into memory."""
        self.engine.read(list(answer.transcript))
        digest = hashlib.sha256(answer.question.encode()).hexdigest()
        self.sources.append(
            Source("question and answer", "dialogue", digest, None, len(answer.transcript), "infini ask")
        )

    def snapshot(self) -> MemoryState:
        """Everything read so far, as a state that can be saved.

        Raises:
            ModelUnavailable: the model has no memory.
        """
        if not self.loaded.memory:
            self.loaded.recipe.require_memory()
        attachments = {}
        if self.texts:
            attachments[kept.ATTACHMENT] = kept.pack(self.texts)
            if self.keep_notes:
                attachments[notes.ATTACHMENT] = notes.pack(self._notes_on(self.texts))
        return dataclasses.replace(
            self.engine.snapshot(self.loaded.origin),
            sources=tuple(self.sources),
            attachments=attachments,
            cipher=self.cipher,
        )

    def save(self, path: str | Path) -> None:
        """Write what was read to a file: see ``MemoryState.save``."""
        self.snapshot().save(Path(path))

    def read_pending(self) -> None:
        """Read the documents that wait: see ``read_documents``."""
        documents, self.pending = self.pending, []
        self.read_documents(documents)

    def read_documents(
        self,
        documents: Sequence[Document],
        *,
        interrupted: Callable[[], bool] | None = None,
        journal: ReadingJournal | None = None,
    ) -> None:
        """Read documents, one after the other, each encoded by itself and followed by a blank line.

        Args:
            documents: In the order in which they are read.
            interrupted: Asked before every segment whether to stop; what `stoppable` gives if None.
            journal: Where checkpoints are kept, entered; what it has of this very reading is gone on from.

        Raises:
            ReadingInterrupted: It was told to stop.
            ModelUnavailable: The model has no memory.
            InfiniError: The journal cannot be written.
        """
        if not self.loaded.memory:
            raise ModelUnavailable(
                f"{self.loaded.recipe.name} has no memory to read into",
                "ask about files with -f, or use another --model",
            )
        self._answerers.clear()
        # Notes on documents that wait would be of all of them, and reading may be stopped.
        self._notes = {number: taken for number, taken in self._notes.items() if number < len(self.texts)}
        if self.keep_text:
            check_room([*self.texts, *(KeptText(document.name, document.blocks) for document in documents)])
        reading = Ingestion(self.loaded, self.engine, documents, self.reporter, journal=journal)
        asked = self.stoppable() if interrupted is None else contextlib.nullcontext(interrupted)
        with asked as stopped:
            for part in reading.parts(stopped):
                self.sources.append(_source(part.document, part.tokens))
                if self.keep_text:
                    self.texts.append(KeptText(part.document.name, part.blocks))
        reading.require_all()


def _source(document: Document, tokens: int) -> Source:
    return Source(document.name, document.kind, document.sha256, document.pages_read, tokens, document.extractor)
