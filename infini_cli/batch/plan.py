"""Which documents a run reads, and the names of their states."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from infini_attention.errors import UsageFailure

from infini_cli.batch.manifest import Key, Record

_SHARD = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_HASH_DIGITS = 10
# Bytes; file systems take 255, and a name gets a digest and, while it is written, more.
_LONGEST_STEM = 150


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A document that the person named.

    Attributes:
        source: Its path.
        pages: The selection of its pages, in its usual form; all if None.
        state: Name of the file for its state, if the person chose one.
    """

    source: str
    pages: str | None = None
    state: str | None = None

    @property
    def key(self) -> Key:
        """What it is told from other documents by."""
        return os.path.abspath(self.source), self.pages


@dataclasses.dataclass(frozen=True)
class Task:
    """A document, and where its state goes.

    Attributes:
        source: Its path, absolute.
        pages: The selection of its pages, in its usual form; all if None.
        state: Name of the file for its state.
        earlier: What the folder's manifests say of that state, if it is this document's.
    """

    source: str
    pages: str | None
    state: str
    earlier: Record | None


@dataclasses.dataclass(frozen=True)
class Shard:
    """Every `count`-th document, from the `number`-th on (counted from 1)."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read a shard such as `2/8`.

        Raises:
            UsageFailure: If there can be no such shard.
        """
        match = _SHARD.fullmatch(text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageFailure(f"'{text}' is not a shard", "Write I/N with I from 1 to N, such as 2/8.")
        return cls(int(match[1]), int(match[2]))


def manifest_name(shard: Shard | None) -> str:
    """The manifest that a run writes; no two shards write the same one."""
    return "manifest.jsonl" if shard is None else f"manifest-{shard.number}-of-{shard.count}.jsonl"


def plan(wanted: Sequence[Wanted], records: Sequence[Record], shard: Shard | None = None) -> list[Task]:
    """What a run does: every document once, with a name for its state that no other document has.

    A document keeps the state that it has. Else its state is called like the document, or, where another document of
    the run or of the folder is called the same, that name with a digest of its path. So names depend neither on the
    order of the documents nor on the shard.

    Args:
        wanted: The documents, at least one.
        records: What the folder's manifests say, the latest last.
        shard: Which part of the documents; all if None.
    """
    unique = {each.key: each for each in wanted}
    owners = {record.state.casefold(): record for record in records if record.state is not None}
    owned = {record.key: record for record in owners.values()}
    chosen = {each.state.casefold() for each in unique.values() if each.state is not None}
    kept = {
        key: record.state
        for key, record in owned.items()
        if key in unique and record.state is not None and record.state.casefold() not in chosen
    }
    stems = Counter(_stem(each).casefold() for each in unique.values() if each.state is None)
    taken = chosen | {state.casefold() for state in kept.values()}
    tasks = []
    for key, each in unique.items():
        state = each.state or kept.get(key)
        if state is None:
            state = f"{_stem(each)}.pt"
            others = state.casefold() in taken or stems[_stem(each).casefold()] > 1
            if others or not _free(each, owners.get(state.casefold())):
                state = f"{_stem(each)}-{_digest(key)}.pt"
        tasks.append(Task(*key, state, _earlier(each, owners.get(state.casefold()))))
    if shard is None:
        return tasks
    return sorted(tasks, key=lambda task: (task.source, task.pages or ""))[shard.number - 1 :: shard.count]


def content_hash(path: str) -> str | None:
    """SHA-256 (hex) of a file; None if it is not a file that can be read."""
    try:
        # A pipe could be read only once, and a device may have no end.
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def _stem(wanted: Wanted) -> str:
    return os.fsencode(Path(wanted.source).stem)[:_LONGEST_STEM].decode(errors="ignore") or "document"


def _digest(key: Key) -> str:
    path, pages = key
    return hashlib.sha256(f"{path}\0{pages or ''}".encode(errors="surrogateescape")).hexdigest()[:_HASH_DIGITS]


def _free(wanted: Wanted, owner: Record | None) -> bool:
    return owner is None or _earlier(wanted, owner) is not None


def _earlier(wanted: Wanted, owner: Record | None) -> Record | None:
    """What the folder knows of a state, if it is this document's, maybe from when that had another path."""
    if owner is None or owner.key == wanted.key:
        return owner
    if owner.pages != wanted.pages or owner.sha256 is None or os.path.exists(owner.source):
        return None
    return owner if owner.sha256 == content_hash(wanted.source) else None
