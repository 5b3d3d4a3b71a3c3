"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .errors import InfiniError

# What the names of files that are still being written end with.
TEMPORARY = ".tmp"
_UNWRITABLE_HINT = "Free some space or choose another place with -o; a file that was there before is unchanged."


@contextlib.contextmanager
def atomic_writer(
    path: str | os.PathLike[str], *, binary: bool = False, private: bool = False, scratch: Path | None = None
) -> Iterator[IO[Any]]:
    """Write a file that appears whole or not at all.

    It is written under a temporary name in the same directory, fsynced and renamed. If anything fails, what
    was there before is unchanged. A new file gets the usual permissions, a replaced one keeps its own; a link
    is followed; a device or a pipe is written directly.

    Args:
        path: Where to.
        binary: Bytes are written, not text.
        private: Nobody but the owner may read the file, whoever could read the one that it replaces (mode 0600).
        scratch: The folder for the temporary file, on the same file system; the file's own if None.

    Raises:
        InfiniError: If it cannot be written (no space, no permission, no such directory).
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        with _explained(path), _opened(os.open(target, os.O_WRONLY), binary) as file:
            yield file
        return
    place = target.parent if scratch is None else scratch
    with _explained(path, place):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=TEMPORARY, dir=place)
        try:
            with _opened(descriptor, binary) as file:
                yield file
                file.flush()
                os.fchmod(file.fileno(), 0o600 if private else _mode_for(target))
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_directory(target.parent)


def make_private(folder: Path) -> None:
    """Make a folder, and those above it, that nobody but the owner may look into (0700); one that is there stays.

    Raises:
        OSError: If it cannot be made.
    """
    for each in [*reversed(folder.parents), folder]:
        if not each.is_dir():
            each.mkdir(0o700, exist_ok=True)


def require_writable(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work is done for it, a file that could not be written afterwards; nothing is made.

    Raises:
        InfiniError: If it is a folder, its folder is not there or closed to the person, or no file can have that name.
    """
    name = os.fspath(path)
    try:
        if stat.S_ISDIR(os.stat(name).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        place = name
    except FileNotFoundError:
        place = os.path.dirname(os.path.realpath(name))
        if not os.path.isdir(place):
            raise InfiniError(
                f"{name} cannot be written: the directory {place} does not exist", f"Make it first: mkdir -p {place}"
            ) from None
    except (OSError, ValueError) as error:
        raise InfiniError(
            f"{name} cannot be written: {getattr(error, 'strerror', None) or error}", _UNWRITABLE_HINT
        ) from None
    if not os.access(place, os.W_OK):
        raise InfiniError(f"{name} cannot be written: {os.strerror(errno.EACCES)}", _UNWRITABLE_HINT)


def require_folder(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work is done for it, a folder that could not be made or written into; nothing is made.

    Raises:
        InfiniError: If there is something else of that name, or the folder that it would be in is closed to the person.
    """
    name = os.fspath(path)
    place = name
    try:
        while not os.path.isdir(place):
            try:
                os.stat(place)
            except FileNotFoundError:
                place = os.path.dirname(os.path.realpath(place))
            else:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InfiniError(f"{name} cannot be made: {reason}", "Choose another folder with -o.") from None
    if not os.access(place, os.W_OK):
        raise InfiniError(f"{name} cannot be written: {os.strerror(errno.EACCES)}", "Choose another folder with -o.")


def _opened(descriptor: int, binary: bool) -> IO[Any]:
    if binary:
        return os.fdopen(descriptor, "wb")
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="\n")


@contextlib.contextmanager
def _explained(path: str | os.PathLike[str], place: Path | None = None) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None and not _beside(error.filename, path, place):
            raise  # It is about another file that the caller had in hand.
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InfiniError(f"no space left while writing {os.fspath(path)}", _UNWRITABLE_HINT) from error
        reason = error.strerror or error
        raise InfiniError(f"{os.fspath(path)} cannot be written: {reason}", _UNWRITABLE_HINT) from error


def _beside(one: str | bytes | os.PathLike[str], other: str | os.PathLike[str], place: Path | None) -> bool:
    return Path(os.path.realpath(os.fsdecode(one))).parent in (Path(os.path.realpath(other)).parent, place)


def _mode_for(target: Path) -> int:
    with contextlib.suppress(OSError):
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_directory(directory: Path) -> None:
    # The rename itself has to reach the disk; some file systems and Windows cannot sync a directory.
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
