"""The journal of a reading: it stands beside the state to be, and a reading of hours goes on from it.

It is a folder, ``STATE.journal``, with a lock and the last checkpoint, which is a state itself. Whatever else is being
written stands in it, too: after a kill at any moment there is nothing to clear away but this folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from ..errors import InfiniError, StateError
from ..files import TEMPORARY
from ..reporting import SILENT, Reporter
from .cipher import LockedState, StateCipher
from .state import MemoryState

# Seconds between two checkpoints: a few hundredths of a second each.
INTERVAL = 30.0

_KEY = "reading"
_CHECKPOINT, _LOCK = "checkpoint.pt", "lock"
_TRIES = 20


def journal_of(target: Path) -> Path:
    """The folder of the journal of a state; where the state is a link, it stands beside what that leads to."""
    real = Path(os.path.realpath(target))
    return real.with_name(f"{real.name}.journal")


class ReadingJournal:
    """Checkpoints of a reading into a state, and the lock on that state; a context, inside of which it is held.

    Args:
        target: where the state goes. Beside a device or a pipe nothing is kept.
        reporter: told what becomes of an earlier journal.
        cipher: encrypts checkpoints, where the state is going to be encrypted.

    Attributes:
        folder: where it is.
        written: whether a checkpoint of this reading is on the disk.

    Raises:
        InfiniError: on entering, another process reads into the state, or its folder cannot be written.
    """

    def __init__(self, target: Path, reporter: Reporter = SILENT, cipher: StateCipher | None = None) -> None:
        self.target, self.reporter, self._cipher = target, reporter, cipher
        self.folder = journal_of(target)
        self.written = False
        self._keeps = target.is_file() or not target.exists()
        self._checkpoint = self.folder / _CHECKPOINT
        self._lock = FileLock(self.folder / _LOCK, mode=0o600)
        self._key = b""
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        if self._keeps:
            try:
                self._acquire()
            except OSError as error:
                raise InfiniError(
                    f"{self.folder} cannot be made: {error.strerror or error}",
                    "choose another place with -o, or free some space",
                ) from error
        return self

    def __exit__(self, *reason: object) -> None:
        if not self._keeps:
            return
        with contextlib.suppress(OSError):
            # Whoever opened this very file sees that it has no name any more, and makes a new one.
            (self.folder / _LOCK).unlink(missing_ok=True)
            self.folder.rmdir()
        self._lock.release()

    def begin(self, about: Mapping[str, Any]) -> MemoryState | None:
        """What was read before of this very reading, if anything was.

        Args:
            about: all that the state's bytes depend on, in plain values. A checkpoint of anything else is left alone
                until this reading has one of its own.

        Raises:
            LockedState: there is an encrypted checkpoint that the cipher does not open.
        """
        self._key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest().encode()
        self._last = time.monotonic()
        if not self._keeps or not self._checkpoint.exists():
            return None
        try:
            state = MemoryState.load(self._checkpoint, self._cipher)
        except LockedState:
            raise
        except StateError as error:
            self.reporter.note(f"{self.folder} cannot be used ({error.message}): reading begins anew")
            return None
        if state.attachments.get(_KEY) != self._key:
            self.reporter.note(f"{self.folder} is of another reading: it is replaced after {INTERVAL:.0f} seconds")
            return None
        self.written = True
        return state

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return self._keeps and time.monotonic() - self._last >= INTERVAL

    def put(self, state: MemoryState) -> None:
        """Keeps what was read so far, instead of what was kept before.

        Raises:
            InfiniError: it cannot be written; what was kept before is intact.
        """
        if not self._keeps:
            return
        try:
            dataclasses.replace(state, attachments={_KEY: self._key}, cipher=self._cipher).save(self._checkpoint)
        except InfiniError as error:
            kept = "; the same command goes on from the last checkpoint" if self.written else ""
            raise InfiniError(error.message, f"free some space{kept}") from error
        self.written = True
        self._last = time.monotonic()

    def finish(self, state: MemoryState) -> None:
        """Writes the state, and forgets the reading.

        Raises:
            InfiniError: it cannot be written; the last checkpoint is intact.
        """
        self.write(state)
        if self._keeps:
            self._checkpoint.unlink(missing_ok=True)
        self.written = False

    def write(self, state: MemoryState) -> None:
        """Writes the state; what is kept of a reading stays.

        Raises:
            InfiniError: it cannot be written.
        """
        state.save(self.target, scratch=self.folder if self._keeps else None)

    def _acquire(self) -> None:
        for again in range(_TRIES):
            self._make_folder()
            try:
                self._lock.acquire(timeout=0)
            except FileNotFoundError:
                # The process before has just removed the folder.
                if again + 1 == _TRIES:
                    raise
                continue
            except Timeout:
                raise InfiniError(
                    f"another process is reading into {self.target}",
                    "wait for it, or choose another place with -o",
                ) from None
            # What a process that was killed had begun to write.
            for path in self.folder.glob(f"*{TEMPORARY}"):
                path.unlink(missing_ok=True)
            return

    def _make_folder(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(0o700)
        found = self.folder.lstat()
        # In a folder that others write to, somebody may have put one there.
        if found.st_uid != os.geteuid() or not self.folder.is_dir() or self.folder.is_symlink():
            raise InfiniError(f"{self.folder} is no folder of yours", "remove it, or choose another place with -o")
