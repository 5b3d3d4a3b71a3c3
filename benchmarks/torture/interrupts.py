"""Ctrl-C at random moments of a command, while it is still importing too: no traceback, and nothing half written."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.torture.options import Place
from benchmarks.torture.results import Result
from benchmarks.torture.tiny import write_model

# The dot tells that the first line of the command's own is next; before that it is Python alone that runs.
_START = "import os, sys; os.write(1, b'.'); import infini_cli.__main__ as command; sys.exit(command.entry())"
ROOT = Path(__file__).parents[2]


def environment(place: Place) -> dict[str, str]:
    """Variables of a process of its own."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "models"), str(ROOT)]),
        "INFINI_CONFIG": str(place.folder / "config.toml"),
        "INFINI_CACHE": str(place.folder / "cache"),
        "INFINI_DEVICE": "cpu",
        "INFINI_DTYPE": "fp32",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def interrupted(arguments: list[str], place: Place, after: float | None) -> tuple[int, str, str]:
    """Exit status (negative for a signal), stdout and stderr of a command that is interrupted after so many seconds.

    Args:
        arguments: The command.
        place: Where it runs.
        after: Seconds; it is left alone if None.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _START, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(place),
        cwd=place.folder,
    )
    assert process.stdout is not None
    select.select([process.stdout], [], [], 60)
    if after is not None:
        time.sleep(after)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    return process.returncode, out.decode(), err.decode()


def run(folder: Path, count: int, seed: int) -> Result:
    """Interrupt a question so many times, each at a moment of its own; half of them early, while it is still importing."""
    place = Place.make(folder / "place")
    write_model(folder / "tiny")
    arguments = [
        "ask",
        "Who?",
        "-f",
        "book.txt",
        "--max-tokens",
        "9",
        "--model",
        str(folder / "tiny"),
        "-o",
        "answer.txt",
    ]
    seconds = _seconds(arguments, place)
    (place.folder / "answer.txt").unlink()
    draw = random.Random(seed)
    result = Result("Ctrl-C", count, "times, importing and working", {"seconds that it takes": seconds})
    before = {*place.folder.iterdir(), place.folder / "answer.txt", place.folder / "cache"}
    for number in range(count):
        after = draw.uniform(0, seconds * (1.0 if number % 2 else 0.3))
        code, _, err = interrupted(arguments, place, after)
        # A traceback without a line of ours is from before the first one.
        if ("Traceback" in err and "infini_" in err) or "Exception ignored" in err or "looks like a bug" in err:
            result.faults.append(f"after {after:.3f} s: {err[-2000:]}")
        elif code not in (0, 130, -signal.SIGINT):
            result.faults.append(f"after {after:.3f} s: exit {code}: {err[-500:]}")
        result.count("ended by it" if code else "done before it")
        for left in set(place.folder.iterdir()) - before:
            result.faults.append(f"after {after:.3f} s: {left.name} is left")
            left.unlink()
    return result


def _seconds(arguments: list[str], place: Place) -> float:
    start = time.monotonic()
    code, _, err = interrupted(arguments, place, None)
    assert code == 0, err
    return time.monotonic() - start
