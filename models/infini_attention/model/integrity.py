"""What fetched weights were when they came: sizes and digests, kept beside them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ..errors import InfiniError, ModelUnavailable
from ..files import atomic_writer

RECORD = "digests.json"


def seal(folder: Path) -> None:
    """Writes down size, time and SHA-256 of every file in a folder, has all of it on the disk, and for the owner only."""
    record = {}
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(0o700)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        path.chmod(0o600)
        record[path.relative_to(folder).as_posix()] = {**_looks(path), "sha256": _digest(path)}
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _write(folder, record)


def check(folder: Path, *, full: bool = False) -> int | None:
    """Whether the files of a folder are what they were.

    A file of the same size and time is taken as unaltered, unless all are to be read; one of another time, as after a
    restored backup, is read.

    Args:
        folder: see ``seal``.
        full: read every byte.

    Returns:
        How many files were recorded; ``None`` if the folder was never sealed.

    Raises:
        ModelUnavailable: a file is missing or altered.
    """
    record = _read(folder)
    if record is None:
        return None
    moved = False
    for name, known in record.items():
        path = folder / name
        try:
            looks = _looks(path)
            same = looks["size"] == known["size"]
            if same and (full or looks != {key: known[key] for key in looks}):
                same = _digest(path) == known["sha256"]
                moved |= looks["time"] != known["time"]
                known["time"] = looks["time"]
        except OSError as error:
            raise _altered(path, f"cannot be read: {error.strerror}") from error
        except (KeyError, TypeError) as error:
            raise _altered(folder / RECORD, "is damaged") from error
        if not same:
            raise _altered(path, "is not what was fetched")
    if moved:
        # Only so that the next start is quick again.
        with contextlib.suppress(InfiniError):
            _write(folder, record)
    return len(record)


def _altered(path: Path, how: str) -> ModelUnavailable:
    return ModelUnavailable(f"{path} {how}", "fetch the model anew with: infini models pull")


def _looks(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"size": found.st_size, "time": found.st_mtime_ns}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise TypeError("it is no JSON object")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise _altered(folder / RECORD, "cannot be read") from error
    return record


def _write(folder: Path, record: dict[str, Any]) -> None:
    with atomic_writer(folder / RECORD, private=True) as file:
        json.dump(record, file, indent=1)
