"""Kills at random moments of reading and saving: the same command goes on, and in the end every byte is the same.

Half of the kills come after a random time, half at a random moment of opening, renaming or removing a file, which is
where a file could be torn or left behind.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.torture.commands import infini, prepare
from benchmarks.torture.results import Result
from benchmarks.torture.tiny import book

_DOCUMENTS = 5
_MOMENTS = (
    "open",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.link",
    "os.chmod",
    "os.truncate",
    "fcntl.flock",
    "os.fsync",
)


def run(folder: Path, count: int, seed: int) -> Result:
    """Kill so many readings."""
    prepare(folder)
    hasten_journals()
    texts = folder / "texts"
    texts.mkdir()
    for number in range(_DOCUMENTS):
        (texts / f"{number}.txt").write_text(book(2 + 2 * number, number))
    (folder / "long.txt").write_text(book(40, 99))
    result = Result("kills", count, "kills", {"while reading or saving": 0, "after the end": 0})
    log = folder / "log"
    jobs = {
        "batch": (["read", str(texts), "-q", "-o", "out/"], "batch"),
        "one": (["read", str(folder / "long.txt"), "-q", "-o", "out/long.pt"], "one"),
        "one.safetensors": (["read", str(folder / "long.txt"), "-q", "-o", "out/long.safetensors"], "one"),
    }
    wanted: dict[str, dict[str, bytes]] = {}
    seconds: dict[str, float] = {}
    moments: dict[str, int] = {}
    for name, (arguments, _) in jobs.items():
        place = _fresh(folder / f"whole-{name}")
        ended = infini(arguments, log, first=lambda: _count_moments(folder / "moments"), folder=place)
        assert ended.code == 0, log.read_text()
        wanted[name], seconds[name] = contents(place / "out"), ended.seconds
        moments[name] = int((folder / "moments").read_text())
    for number in range(count):
        draw = random.Random(f"{seed}:{number}")
        name = draw.choice(list(jobs))
        arguments, _ = jobs[name]
        place = _fresh(folder / "killed")
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            if draw.random() < 0.5:
                ended = infini(arguments, log, kill_after=draw.uniform(0.0, 1.05) * seconds[name], folder=place)
            else:
                dies = functools.partial(_die_at, draw.randrange(1, moments[name] + 1))
                ended = infini(arguments, log, first=dies, folder=place)
        result.count("while reading or saving" if ended.code == -signal.SIGKILL else "after the end")
        ended = infini(arguments, log, folder=place)
        found = contents(place / "out")
        if ended.code != 0:
            result.faults.append(f"kill {number}, {name}: then it ended with {ended.code}: {log.read_text()[-500:]}")
        elif found != wanted[name]:
            result.faults.append(f"kill {number}, {name}: {_difference(found, wanted[name])}")
    return result


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder; of a manifest what does not tell the time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        data = path.read_bytes()
        if path.suffix == ".jsonl":
            lines = [json.loads(line) for line in data.splitlines()]
            data = json.dumps(sorted(json.dumps({**line, "finished": ""}, sort_keys=True) for line in lines)).encode()
        found[str(path.relative_to(folder))] = data
    return found


def _fresh(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    (place / "out").mkdir(parents=True)
    return place


def _difference(found: dict[str, bytes], wanted: dict[str, bytes]) -> str:
    left, missing = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
    other = sorted(name for name in set(found) & set(wanted) if found[name] != wanted[name])
    return f"left behind: {left}; missing: {missing}; other bytes: {other}"


def _at_moments(do: Callable[[int], None]) -> None:
    """Calls a function with 1, 2, 3 at the moments at which files are changed."""
    count = 0

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in _MOMENTS or (event == "open" and not _writes(arguments)):
            return
        count += 1
        do(count)

    sys.addaudithook(heard)
    # Python tells nothing of these.
    for name in ("fsync", "write", "fchmod"):
        _told(name, lambda: heard("os.fsync", ()))


def _told(name: str, tell: Callable[[], None]) -> None:
    real = getattr(os, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        done = real(*arguments, **options)
        tell()
        return done

    setattr(os, name, wrapped)


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else None
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


def _count_moments(file: Path) -> None:
    def note(number: int) -> None:
        counted[0] = number

    counted = [0]
    _at_moments(note)
    # How a forked process ends, after everything else.
    real = os._exit

    def ending(code: int) -> None:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.pwrite(descriptor, str(counted[0]).encode(), 0)
        real(code)

    os._exit = ending  # type: ignore[assignment]


def _die_at(last: int) -> None:
    def die(number: int) -> None:
        if number >= last:
            os.kill(os.getpid(), signal.SIGKILL)

    _at_moments(die)


def hasten_journals() -> None:
    """Where readings keep a journal, let it be written all the time: a tiny reading ends before it would be."""
    with contextlib.suppress(ImportError):
        journal: Any = importlib.import_module("infini_attention.memory.reading_journal")
        journal.INTERVAL = 0.02
