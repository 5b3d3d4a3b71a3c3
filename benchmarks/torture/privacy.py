"""What a reading leaves on the disk: for its owner only, encrypted where that is asked for, and forgotten when told to."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from infini_attention.memory.state import MemoryState

from benchmarks.torture.commands import infini, prepare
from benchmarks.torture.kills import hasten_journals
from benchmarks.torture.results import Result
from benchmarks.torture.tiny import book

# Of no other text.
_SECRET = "the cashbox lies under the third floorboard of the cooperage"


def run(folder: Path, count: int, seed: int) -> Result:
    """Read so many documents, each into a plain and an encrypted state, with a kill in the midst of each."""
    # Everything that anybody could read by default would be found so.
    os.umask(0)
    private = folder / "owner"
    private.mkdir(0o755)
    prepare(private)
    hasten_journals()
    os.environ["INFINI_PASSPHRASE"] = "a long enough passphrase"
    log, draw = folder / "log", random.Random(seed)
    result = Result("files and privacy", 0, "readings", {"files looked at": 0})
    for number in range(count):
        text, place = folder / "book.txt", private / "states"
        place.mkdir(exist_ok=True)
        text.write_text(book(16, number).replace("boat", f"boat, and that {_SECRET},"))
        for name, more in (("plain", []), ("encrypted", ["--encrypt"])):
            state = place / f"{name}-{number}.pt"
            arguments = ["read", str(text), "-v", "-o", str(state), *more]
            infini(arguments, log, kill_after=draw.uniform(0.1, 0.6))
            looked = [*_open_to_others(private, result)]
            if name == "encrypted":
                looked += [f"{path} tells the text" for path in _telling(place, name)]
            ended = infini(arguments, log)
            result.tried += 1
            looked += [*_open_to_others(private, result)]
            if ended.code != 0:
                looked.append(f"{name}: exit {ended.code}: {log.read_text()[-500:]}")
            if "cashbox" in log.read_text():
                looked.append("what is noted tells the text")
            result.faults += [f"reading {number}: {each}" for each in looked]
        result.faults += [f"reading {number}: {each}" for each in _forgotten(place, number, log)]
    return result


def _open_to_others(folder: Path, result: Result) -> Iterator[str]:
    """States, journals and caches that somebody else could read."""
    for path in (folder / "states").rglob("*"):
        result.count("files looked at")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != 0o600:
            yield f"{path.name} has the mode {stat.S_IMODE(path.stat().st_mode):o}"
        if path.is_dir() and stat.S_IMODE(path.stat().st_mode) != 0o700:
            yield f"the folder {path.name} has the mode {stat.S_IMODE(path.stat().st_mode):o}"
    for path in (folder / "cache").rglob("*"):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield f"{path} has the mode {stat.S_IMODE(path.stat().st_mode):o}"


def _telling(folder: Path, name: str) -> Iterator[Path]:
    """Files of that name with the text in them, as it is or compressed."""
    for path in folder.rglob("*"):
        if path.is_file() and (name in path.name or name in path.parent.name):
            data = path.read_bytes()
            if b"cashbox" in data or any(b"cashbox" in part for part in _unpacked(data)):
                yield path


def _unpacked(data: bytes) -> Iterator[bytes]:
    place = data.find(b"\x78")
    while place >= 0:
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj().decompress(data[place:])
        place = data.find(b"\x78", place + 1)


def _forgotten(place: Path, number: int, log: Path) -> Iterator[str]:
    """What is wrong after the text of both states was to be forgotten."""
    plain = place / f"plain-{number}.pt"
    before = MemoryState.load(plain)
    if not list(_telling(place, plain.name)):
        yield "the text is not found where it has to be: nothing was shown by this"
    for path in (plain, place / f"encrypted-{number}.pt"):
        ended = infini(["state", "forget", str(path)], log)
        if ended.code != 0:
            yield f"state forget ends with {ended.code}: {log.read_text()[-300:]}"
    after = MemoryState.load(plain)
    if list(_telling(place, plain.name)):
        yield "the text is there after it was forgotten"
    if not all(bool((after.tensors[name] == tensor).all()) for name, tensor in before.tensors.items()):
        yield "the memory is not what it was"
