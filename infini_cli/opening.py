"""A document, an engine and a state together: what `read`, `summarize` and `ask` are made of."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from infini_attention.documents import Document, PageSelection, load_document
from infini_attention.documents.clean import told
from infini_attention.errors import InfiniError
from infini_attention.files import require_writable
from infini_attention.reporting import Advance

from infini_cli.exits import one_line
from infini_cli.fetching import download_bar
from infini_cli.interrupt import deferred_interrupt
from infini_cli.options import Rule, Settings
from infini_cli.output import Console
from infini_cli.passphrases import cipher_of

if TYPE_CHECKING:
    from infini_attention import Loaded, MemoryState
    from infini_attention.memory.cipher import StateCipher
    from infini_attention.memory.config import InfiniConfig
    from infini_attention.model.recipe import Recipe
    from infini_attention.session import Session

PASSWORD_VARIABLE = "INFINI_PDF_PASSWORD"


def open_documents(
    sources: Sequence[str],
    pages: PageSelection | None,
    console: Console,
    pdf_backend: str = "pdfium",
    ocr: str = "auto",
    *,
    ask: bool = True,
) -> list[Document]:
    """Extract the text of all sources, and tell what was left out of them.

    Args:
        sources: Files, or `-` for stdin.
        pages: Pages to read of each; all if None.
        console: Where notes go.
        pdf_backend: What is asked first for the text of a PDF: `pdfium` or `pypdf`.
        ocr: Whether text is recognised in scanned pages: `auto`, `off` or a language as Tesseract names it.
        ask: Whether the person is there to be asked for passwords.

    All of them before any is read into memory: a mistake in the last name must not cost the time of the first.

    Raises:
        InputError: If one cannot be read or has no text.
    """
    documents = []
    for source in sources:
        with contextlib.ExitStack() as stack:
            document = load_document(
                source,
                pages=pages,
                password=os.environ.get(PASSWORD_VARIABLE),
                ask_password=_ask_password if ask and sys.stderr.isatty() else None,
                backend=pdf_backend,
                ocr=ocr,
                heard=_page_by_page(console, source, stack),
            )
        for note in document.notes:
            console.note(f"{document.name}: {note}")
        if document.clean_up:
            console.detail(f"{document.name}: {told(document.clean_up)}")
        documents.append(document)
    return documents


def _page_by_page(console: Console, source: str, stack: contextlib.ExitStack) -> Callable[[int, int], None]:
    """What shows the pages of a PDF while they are read: recognising scans takes a second for each."""
    shown: list[Advance] = []

    def heard(done: int, total: int) -> None:
        if not shown:
            shown.append(stack.enter_context(console.progress(total, f"opening {source}")))
        shown[0](1, f"p. {done:,} of {total:,}")

    return heard


def load_model(
    settings: Settings,
    console: Console,
    model: str | None = None,
    *,
    rule: Rule | None = None,
    config: InfiniConfig | None = None,
    untrained: bool = False,
    needs_adapter: bool = True,
    reader: str | None = None,
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
        reader: See `Recipe.read_by`; the one that the recipe names if None.
    """
    from infini_attention import load_model
    from infini_attention.model.recipe import DEFAULT
    from transformers.utils import logging

    if not console.verbose:
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    name = model or settings.model or DEFAULT
    with download_bar(console) as progress:
        loaded = load_model(
            name,
            device=settings.device,
            dtype=settings.dtype,
            weights=settings.weights.value,
            reader=reader,
            config=config,
            rule=None if rule is None else rule.value,
            untrained=untrained,
            notify=console.note,
            progress=progress,
        )
    console.detail(f"model {loaded.recipe.name} on {loaded.placement.reason}")
    if loaded.weights == "int8":
        console.detail("answers are decoded with weights in 8 bits (--weights float32: as they are)")
    if not loaded.memory:
        console.detail(f"{loaded.recipe.name} has no memory: it goes by the text in view")
    elif loaded.recipe.adapter_file is None and needs_adapter:
        console.note(f"{loaded.recipe.name} has no adapter: its memory path is untrained (see: infini adapt)")
    elif loaded.config.update_rule != loaded.recipe.config.update_rule and not untrained:
        console.note(
            f"the adapter of {loaded.recipe.name} was trained with the {loaded.recipe.config.update_rule} rule"
        )
    return loaded


def load_reader(loaded: Loaded, console: Console) -> Loaded | None:
    """Load the model that answers from passages, where that is another one, with notes about fetching it."""
    from infini_attention.model.loading import load_reader

    with download_bar(console) as progress:
        reading = load_reader(loaded, notify=console.note, progress=progress)
    if reading is not None:
        console.detail(f"answers from passages are {reading.recipe.name}'s")
    return reading


def open_state(path: Path) -> MemoryState:
    """Load and verify a saved state; one that is encrypted is opened with the person's passphrase.

    Raises:
        StateError: If there is none, or it is damaged, or another passphrase opens it.
    """
    from infini_attention import StateError
    from infini_attention.memory.reading_journal import journal_of
    from infini_attention.text.kept import load_state

    if not path.exists() and journal_of(path).is_dir():
        raise StateError(f"{path} is not read to its end", "Give the infini read command again that began it.")
    return load_state(path, cipher_of(path))


def open_session(
    settings: Settings,
    console: Console,
    state: MemoryState | None,
    model: str | None,
    *,
    keep_text: bool = True,
    keep_notes: bool = True,
    by_text: bool = False,
    when_needed: bool = False,
    cipher: StateCipher | None = None,
    reader: str | None = None,
) -> Session:
    """Load the right model and go on from a state, if there is one.

    Args:
        settings: Of the run.
        console: Where notes go.
        state: What to start from; see `model_of_state` for which model is loaded then.
        model: The model that the person named for this run, if any.
        keep_text: See `Session`.
        keep_notes: See `Session`.
        by_text: Whether the text that a state carries will do: it serves any model, its memory only its own.
        when_needed: Whether the model is loaded no sooner than something needs it.
        cipher: See `Session`.
        reader: See `load_model`.

    Raises:
        StateError: If the state belongs to another model than the one named.
        ModelUnavailable: If the model cannot be had.
    """
    from infini_attention.session import Session

    def load() -> Loaded:
        name = None if state is None else model_of_state(state, model, settings.model, by_text=by_text)
        return load_model(settings, console, name, reader=reader)

    session = Session(
        load if when_needed else load(),
        console,
        state,
        keep_text=keep_text,
        keep_notes=keep_notes,
        stoppable=deferred_interrupt,
        cipher=cipher,
        reading=lambda loaded: load_reader(loaded, console),
    )
    if state is not None and not when_needed and session.loaded.memory and not session.memory_fits:
        console.note(f"the state's memory is of {state.origin.model}: only its text is used")
    return session


def model_of_state(state: MemoryState, model: str | None, setting: str | None = None, *, by_text: bool = False) -> str:
    """The model to load for a state: the one named, else the built-in one that the state names, else the setting's.

    A state may come from anybody. The name in it is compared with names that are known, and never opened: it could
    lead to a folder or a package that somebody put there.

    Args:
        state: What to go on from.
        model: The model that the person named for this run, if any.
        setting: The model of the person's settings, if any.
        by_text: See `open_session`.

    Raises:
        StateError: If the state belongs to another model than the one named.
        ModelUnavailable: If nobody named a model that can be the state's.
    """
    from infini_attention import ModelUnavailable, StateError
    from infini_attention.model.recipe import find, names

    origin = state.origin
    if model is not None:
        recipe = find(model)
        if not _may_be_of(state, recipe, by_text):
            recipe.require_memory()
            raise StateError(
                f"the state belongs to model {origin.model}, not to {model}",
                "Leave --model out, or read the document again with the other model.",
            )
        return model
    if origin.model in names() and find(origin.model).memory:
        return origin.model
    if setting is not None and _may_be_of(state, find(setting), by_text):
        return setting
    raise ModelUnavailable(
        f"the state was made with {origin.model}, which is no built-in model; what a state names is not opened",
        "If you know and trust that model, tell where it is with --model.",
    )


def _may_be_of(state: MemoryState, recipe: Recipe, by_text: bool) -> bool:
    """Whether a recipe can be the state's. Fingerprints decide in the end; what is plain now must not cost a download.

    A model without a memory goes by the text that a state carries, whoever read it.
    """
    from infini_attention.model.recipe import names
    from infini_attention.text.kept import ATTACHMENT

    if ATTACHMENT in state.attachments and (by_text or not recipe.memory):
        return True
    both_shipped = {recipe.name, state.origin.model} <= set(names())
    return (
        recipe.memory
        and (not both_shipped or recipe.name == state.origin.model)
        and recipe.may_have_written(state.origin.config)
    )


def require_memory(settings: Settings, model: str | None = None) -> None:
    """Refuse, before anything is fetched or read, what a model without a memory cannot do.

    Raises:
        ModelUnavailable: If the model named, or that of the settings, has none.
    """
    from infini_attention.model.recipe import DEFAULT, find

    find(model or settings.model or DEFAULT).require_memory()


def check_state_output(path: Path, sources: Sequence[str]) -> None:
    """Refuse, before anything is read, a place where the state cannot or must not be written.

    Raises:
        InfiniError: If the folder is not there, or it is one of the sources.
    """
    if str(path) == "-":
        raise InfiniError("a state is not written to stdout", "Name a file with -o, such as state.pt.", 2)
    require_writable(path)
    for source in sources:
        if source != "-" and path.exists() and os.path.exists(source) and os.path.samefile(path, source):
            raise InfiniError(f"{path} is a document to be read; the state would replace it", "Choose another name.", 2)


def _ask_password(name: str) -> str:
    import getpass

    return getpass.getpass(f"Password of {one_line(name)}: ", stream=sys.stderr)
