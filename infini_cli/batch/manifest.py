"""The manifest of a folder of states: a line of JSON for every document, written as soon as it is done."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from infini_attention.errors import InfiniError
from infini_attention.files import atomic_writer

from infini_cli.output import Console

SCHEMA = "infini.batch/1"
_FILES = "manifest*.jsonl"

Key = tuple[str, str | None]


@dataclasses.dataclass(frozen=True)
class Record:
    """What became of one document.

    Attributes:
        source: Its path, absolute.
        pages: The selection of its pages, if there was one.
        sha256: Hex digest of its bytes; None if they could not be had.
        state: Name of the file, beside the manifest, that holds its memory. After an error that of an earlier reading.
        model: The model that read it.
        tokens: Tokens read; None after an error.
        segments: Segments closed; None after an error.
        status: How it ended.
        error: What went wrong.
        hint: What can be done about it.
        finished: When, in ISO 8601 and UTC. Of several records of a document the latest counts.
    """

    source: str
    pages: str | None
    sha256: str | None
    state: str | None
    model: str
    tokens: int | None
    segments: int | None
    status: Literal["ok", "error"]
    error: str | None
    hint: str | None
    finished: str

    @property
    def key(self) -> Key:
        """What a document is told from others by."""
        return self.source, self.pages

    def line(self) -> dict[str, object]:
        """The record as JSON values."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}


_FIELDS = {field.name for field in dataclasses.fields(Record)}


def parse(line: str) -> Record | None:
    """A line of a manifest; None if it is no record that this release knows."""
    try:
        value = json.loads(line)
        known = isinstance(value, dict) and value.pop("schema", None) == SCHEMA and value.keys() == _FIELDS
        return msgspec.convert(value, Record) if known else None
    except (ValueError, msgspec.ValidationError):
        return None


def latest(records: Iterable[Record]) -> list[Record]:
    """The last record of each document, in the order in which they were written."""
    newest: dict[Key, Record] = {}
    for record in sorted(records, key=lambda record: record.finished):
        newest.pop(record.key, None)
        newest[record.key] = record
    return list(newest.values())


def read_folder(folder: Path, console: Console) -> list[Record]:
    """The latest record of each document in all manifests of a folder; lines that are none are told of.

    Raises:
        InfiniError: If a manifest cannot be read.
    """
    return latest(record for path in sorted(folder.glob(_FILES)) for record in _records(path, console))


def _records(path: Path, console: Console) -> Iterator[Record]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InfiniError(f"{path} cannot be read: {error.strerror}", "Correct its permissions.") from error
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = parse(line)
        if record is not None:
            yield record
        else:
            what = "was cut short" if number == len(lines) else "is not a record of this release"
            console.note(f"{path}: line {number} {what} and does not count")


def _encoded(record: Record) -> bytes:
    # A file's name that is no valid UTF-8 has lone surrogates in it.
    line = json.dumps(record.line(), ensure_ascii=False, allow_nan=False) + "\n"
    return line.encode("utf-8", errors="backslashreplace")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


class Manifest:
    """A manifest that is being written by this run, and by no other.

    Args:
        path: Its file; made if it is not there.

    Raises:
        InfiniError: If it cannot be written, or another run writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            self._file = self._locked()
            # A line that was cut short must not swallow the next one.
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                self._write(b"\n")

    def append(self, record: Record) -> None:
        """Write a record; it is on the disk afterwards.

        Raises:
            InfiniError: If it cannot be written.
        """
        with self._explained():
            self._write(_encoded(record))
            os.fsync(self._file)

    def close(self) -> None:
        """Leave one record a document, the latest, and let other runs write.

        Raises:
            InfiniError: If it cannot be written; the records are all there then.
        """
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
            records = {line: parse(line.decode("utf-8", errors="replace")) for line in lines}
            kept = latest(record for record in records.values() if record is not None)
            if len(kept) < len(lines):
                # What another release wrote is not ours to drop; what is no JSON at all was cut short.
                others = [line for line, record in records.items() if record is None and _is_json(line)]
                with atomic_writer(self.path, binary=True) as file:
                    file.writelines([*others, *map(_encoded, kept)])
        finally:
            os.close(self._file)

    def _locked(self) -> int:
        while True:
            # What somebody read is nobody else's business.
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                raise InfiniError(
                    f"another run is writing {self.path}", "Wait for it, or give each run a --shard of its own."
                ) from None
            except OSError:
                return file  # The file system has no locks.
            # The run before may have put a new file into its place after this one was opened.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(self.path)):
                    return file
            os.close(file)

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._file, content) :]

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InfiniError(
                f"{self.path} cannot be written: {error.strerror}", "Free some space or choose another folder with -o."
            ) from error
