"""A document, an engine and a state together: what `read`, `summarize` and `ask` are made of."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infini_cli.documents import Document, PageSelection, load_document
from infini_cli.documents.clean import told
from infini_cli.errors import CliError, UsageFailure
from infini_cli.interrupt import deferred_interrupt
from infini_cli.lookback.kept import ATTACHMENT, KeptText, pack, unpack
from infini_cli.output import Advance, Console
from infini_cli.reading import (
    DOCUMENT_END,
    Pages,
    ReadingInterrupted,
    blocks_within,
    what_was_read,
)
from infini_cli.settings import Settings

if TYPE_CHECKING:
    from infini_attention import Loaded, MemoryState, Source
    from infini_attention.config import InfiniConfig, UpdateRule

PASSWORD_VARIABLE = "INFINI_PDF_PASSWORD"
_LAST_WORDS = 80


def open_documents(
    sources: Sequence[str],
    pages: PageSelection | None,
    console: Console,
    pdf_backend: str = "pypdf",
    *,
    ask: bool = True,
) -> list[Document]:
    """Extract the text of all sources, and tell what was left out of them.

    Args:
        sources: Files, or `-` for stdin.
        pages: Pages to read of each; all if None.
        console: Where notes go.
        pdf_backend: What takes the text out of a PDF: `pypdf` or `pdfium`.
        ask: Whether the person is there to be asked for passwords.

    All of them before any is read into memory: a mistake in the last name must not cost the time of the first.

    Raises:
        InputError: If one cannot be read or has no text.
    """
    documents = []
    for source in sources:
        document = load_document(
            source,
            pages=pages,
            password=os.environ.get(PASSWORD_VARIABLE),
            ask_password=_ask_password if ask and sys.stderr.isatty() else None,
            backend=pdf_backend,
        )
        for note in document.notes:
            console.note(f"{document.name}: {note}")
        if document.clean_up:
            console.detail(f"{document.name}: {told(document.clean_up)}")
        documents.append(document)
    return documents


def load_model(
    settings: Settings,
    console: Console,
    model: str | None = None,
    *,
    rule: str | None = None,
    config: InfiniConfig | None = None,
    untrained: bool = False,
    needs_adapter: bool = True,
) -> Loaded:
    """Load the model of the settings, or the one named, with notes about fetching and placing it.

    Args:
        settings: Of the run.
        console: Where notes go.
        model: A model's name; that of the settings if None.
        rule: Another update rule than the model's.
        config: Another memory path than the model's.
        untrained: Leave its adapter out.
        needs_adapter: Tell where the model has none.

    Raises:
        UsageFailure: If there is no such rule.
    """
    from infini_attention import load
    from infini_attention.recipes import DEFAULT
    from transformers.utils import logging

    if not console.verbose:
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    name = model or settings.model or DEFAULT
    loaded = load(
        name,
        device=settings.device,
        dtype=settings.dtype,
        config=config,
        rule=_update_rule(rule),
        untrained=untrained,
        notify=console.note,
    )
    console.detail(f"model {loaded.recipe.name} on {loaded.placement.reason}")
    if loaded.recipe.adapter_file is None and needs_adapter:
        console.note(f"{loaded.recipe.name} has no adapter: its memory path is untrained (see: infini adapt)")
    elif loaded.config.update_rule != loaded.recipe.config.update_rule and not untrained:
        console.note(
            f"the adapter of {loaded.recipe.name} was trained with the {loaded.recipe.config.update_rule} rule"
        )
    return loaded


def _update_rule(name: str | None) -> UpdateRule | None:
    if name is None:
        return None
    from typing import get_args

    from infini_attention.config import UpdateRule

    known: tuple[UpdateRule, ...] = get_args(UpdateRule)
    for rule in known:
        if rule == name:
            return rule
    raise UsageFailure(f"'{name}' is not an update rule", f"Use one of {', '.join(known)}.")


class Session:
    """An engine, its model, and the documents that it has read.

    Args:
        loaded: The model.
        console: Where progress and notes go.
        state: What to start from.
        keep_text: Whether the text of documents stays beside the memory, for looking back.

    Raises:
        StateError: If the state belongs to another model.
    """

    def __init__(
        self, loaded: Loaded, console: Console, state: MemoryState | None = None, *, keep_text: bool = True
    ) -> None:
        self.loaded = loaded
        self.console = console
        self.engine = loaded.engine()
        self.keep_text = keep_text
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
            interrupted: Asked before every segment whether to stop; Ctrl-C answers it if None.

        Raises:
            ReadingInterrupted: On Ctrl-C, after the segment at hand; a second Ctrl-C stops at once.
        """
        import torch

        ids = [
            torch.tensor(self.loaded.encode(document.text + DOCUMENT_END), dtype=torch.int32) for document in documents
        ]
        total = sum(len(each) for each in ids)
        read = 0
        self.console.detail(f"reading {total:,} tokens")
        asked = deferred_interrupt() if interrupted is None else contextlib.nullcontext(interrupted)
        with asked as stopped, self.console.progress(total, "reading") as advance:
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
            self.console.note(f"{document.name}: gone through chapter by chapter, not read into memory")

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
        self.console.note(what_was_read(document, done, engine.cache.segments - segments, len(engine.open_ids)))
        return done

    def _decode(self, ids: Any) -> str:
        return str(self.loaded.tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False))


def _source(document: Document, tokens: int) -> Source:
    from infini_attention import Source

    return Source(document.name, document.kind, document.sha256, document.pages_read, tokens, document.extractor)


def open_state(path: Path) -> MemoryState:
    """Load and verify a saved state.

    Raises:
        StateError: If there is none, or it is damaged.
    """
    from infini_attention import MemoryState

    return MemoryState.load(path)


def open_session(
    settings: Settings, console: Console, state: MemoryState | None, model: str | None, *, keep_text: bool = True
) -> Session:
    """Load the right model and go on from a state, if there is one.

    Args:
        settings: Of the run.
        console: Where notes go.
        state: What to start from; its model is loaded.
        model: The model that the person named for this run, if any.
        keep_text: See `Session`.

    Raises:
        StateError: If the state belongs to another model than the one named.
        ModelUnavailable: If the model cannot be had.
    """
    name = None if state is None else model_of_state(state, model)
    return Session(load_model(settings, console, name), console, state, keep_text=keep_text)


def model_of_state(state: MemoryState, model: str | None) -> str:
    """The model to load for a state: the one named, if it can be the state's, else the state's own.

    Raises:
        StateError: If the state belongs to another model than the one named.
        ModelUnavailable: If there is no such model.
    """
    from infini_attention import ModelUnavailable, StateError
    from infini_attention.recipes import find, names

    origin = state.origin
    if model is not None:
        recipe = find(model)
        # Fingerprints decide in the end; what is plain now must not cost a download.
        both_shipped = {recipe.name, origin.model} <= set(names()) and recipe.name != origin.model
        if both_shipped or recipe.config.digest() != origin.config:
            raise StateError(
                f"the state belongs to model {origin.model}, not to {model}",
                "Leave --model out, or read the document again with the other model.",
            )
        return model
    try:
        find(origin.model)
    except ModelUnavailable as error:
        raise ModelUnavailable(
            f"the state's model {origin.model} is not here", "Tell where it is now with --model."
        ) from error
    return origin.model


def check_state_output(path: Path, sources: Sequence[str]) -> None:
    """Refuse, before anything is read, a place where the state cannot or must not be written.

    Raises:
        CliError: If the folder is not there, or it is one of the sources.
    """
    if str(path) == "-":
        raise CliError("a state is not written to stdout", "Name a file with -o, such as state.pt.", 2)
    if not path.parent.is_dir():
        raise CliError(f"the directory {path.parent} does not exist", f"Make it first: mkdir -p {path.parent}")
    for source in sources:
        if source != "-" and path.exists() and os.path.exists(source) and os.path.samefile(path, source):
            raise CliError(f"{path} is a document to be read; the state would replace it", "Choose another name.", 2)


def _ask_password(name: str) -> str:
    import getpass

    return getpass.getpass(f"Password of {name}: ", stream=sys.stderr)
