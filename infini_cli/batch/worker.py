"""One model that reads documents, each into a state of its own: what every worker of a batch is made of."""

from __future__ import annotations

import dataclasses
import datetime
import io
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from infini_attention.documents import PageSelection
from infini_attention.errors import InfiniError
from infini_attention.memory.reading_journal import ReadingJournal
from infini_attention.session import Session
from infini_attention.text.kept import ATTACHMENT

from infini_cli.batch.manifest import Record
from infini_cli.batch.plan import Task, content_hash
from infini_cli.exits import exit_code_of, explanation
from infini_cli.opening import load_model, open_documents
from infini_cli.options import Reading
from infini_cli.output import Console

if TYPE_CHECKING:
    from infini_attention import MemoryState
    from infini_attention.memory.cipher import StateCipher


@dataclasses.dataclass(frozen=True)
class Job:
    """What all workers of a run have in common; it can be sent to other processes and machines.

    Attributes:
        folder: Where states go, absolute.
        settings: Of the run.
        keep_text: Whether the text of a document stays beside its memory.
        keep_notes: Whether notes on it do.
        debug: Whether tracebacks of errors are shown.
        cipher: What states are encrypted with, if they are.
    """

    folder: Path
    settings: Reading
    keep_text: bool = True
    keep_notes: bool = True
    debug: bool = False
    cipher: StateCipher | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a document.

    Attributes:
        record: For the manifest.
        skipped: Whether it had been read before.
        notes: Lines for the person, each with its line end.
    """

    record: Record
    skipped: bool = False
    notes: str = ""


@dataclasses.dataclass(frozen=True)
class NoModel:
    """Why a worker has no model. Errors with hints cannot be sent as they are: unpickling them takes both."""

    message: str
    hint: str
    exit_code: int

    @classmethod
    def because(cls, error: Exception) -> NoModel:
        """What can be sent of an error."""
        return cls(*explanation(error), exit_code_of(error))

    def error(self) -> InfiniError:
        """The error again, for the person."""
        return InfiniError(self.message, self.hint, self.exit_code)


class Reader:
    """A model, and where its states go.

    Args:
        job: The run that it works for.
        console: Told about the model and how far reading is; None keeps what is noted for the outcomes.

    Attributes:
        model: The model's name.
        notes: What was noted while it was loaded.

    Raises:
        ModelUnavailable: If the model cannot be had.
        DeviceUnavailable: If the device is not there.
    """

    def __init__(self, job: Job, console: Console | None = None) -> None:
        self.job = job
        self._console = console
        notes = self._notes()
        self._loaded = load_model(job.settings, notes)
        self.model = self._loaded.origin.model
        self.notes = self._written(notes)

    def read(self, task: Task, interrupted: Callable[[], bool] = lambda: False) -> Outcome:
        """Read a document into its state, unless that was done before.

        Args:
            task: The document.
            interrupted: Asked before every segment whether to stop.

        Returns:
            What became of it, errors included.

        Raises:
            ReadingInterrupted: If it stopped; what was read is in the state's journal then.
        """
        console = self._notes()
        sha256 = content_hash(task.source)
        try:
            outcome = self._done(task, sha256) or self._read(task, console, interrupted)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one document must not stop the others
            if self.job.debug:
                traceback.print_exc(file=console.stderr)
            message, hint = explanation(error)
            outcome = Outcome(failure(task, self.model, sha256, message, hint))
        return dataclasses.replace(outcome, notes=self._written(console))

    def _done(self, task: Task, sha256: str | None) -> Outcome | None:
        from infini_attention import StateError
        from infini_attention.memory.cipher import LockedState
        from infini_attention.text.kept import load_state

        path, earlier = self.job.folder / task.state, task.earlier
        if not path.exists():
            return None
        if earlier is None:
            self._refuse_foreign(path, sha256)
            return None
        try:
            state = load_state(path, self.job.cipher)
            state.require(self._loaded.origin)
        except LockedState:
            # Nothing that was encrypted is replaced by what is not, or is so with another passphrase.
            raise
        except StateError:
            return None
        if earlier.status != "ok" or earlier.sha256 != sha256 or earlier.pages != task.pages:
            return None
        if (state.cipher is None) != (self.job.cipher is None):
            return None
        if not _is_of(state, sha256) or (ATTACHMENT in state.attachments) != self.job.keep_text:
            return None
        return Outcome(dataclasses.replace(earlier, source=task.source, state=task.state), skipped=True)

    def _read(self, task: Task, console: Console, interrupted: Callable[[], bool]) -> Outcome:
        pages = None if task.pages is None else PageSelection.parse(task.pages)
        settings = self.job.settings
        with ReadingJournal(self.job.folder / task.state, console, self.job.cipher) as journal:
            documents = open_documents([task.source], pages, console, settings.pdf_backend, settings.ocr, ask=False)
            job = self.job
            session = Session(
                self._loaded, console, keep_text=job.keep_text, keep_notes=job.keep_notes, cipher=job.cipher
            )
            session.read_documents(documents, interrupted=interrupted, journal=journal)
            state = session.snapshot()
            journal.finish(state)
        return Outcome(
            Record(
                source=task.source,
                pages=task.pages,
                sha256=documents[0].sha256,
                state=task.state,
                model=state.origin.model,
                tokens=state.tokens,
                segments=state.segments,
                status="ok",
                error=None,
                hint=None,
                finished=_now(),
            )
        )

    def _refuse_foreign(self, path: Path, sha256: str | None) -> None:
        """A file that no manifest knows is only replaced if it holds the same document: a run may have been cut before it
        could record it."""
        from infini_attention import StateError
        from infini_attention.text.kept import load_state

        try:
            if _is_of(load_state(path, self.job.cipher), sha256):
                return
        except StateError:
            pass
        raise InfiniError(
            f"{path} is there already and was not made from this document", "Move it away, or choose another folder."
        )

    def _notes(self) -> Console:
        if self._console is not None:
            return self._console
        settings = self.job.settings
        return Console(quiet=settings.quiet, verbose=settings.verbose, stderr=io.StringIO())

    def _written(self, console: Console) -> str:
        return console.stderr.getvalue() if isinstance(console.stderr, io.StringIO) else ""


def failure(task: Task, model: str, sha256: str | None, message: str, hint: str) -> Record:
    """The record of a document that could not be read, with a message and a hint of a line each."""
    return Record(
        source=task.source,
        pages=task.pages,
        sha256=sha256,
        state=None if task.earlier is None else task.earlier.state,
        model=model,
        tokens=None,
        segments=None,
        status="error",
        error=message,
        hint=hint,
        finished=_now(),
    )


def _is_of(state: MemoryState, sha256: str | None) -> bool:
    # Questions may have been added to it since.
    return bool(state.sources) and state.sources[0].sha256 == sha256


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
