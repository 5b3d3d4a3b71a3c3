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

from benchmarks.torture.option_values import Place

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


def interrupted(arguments: list[str], place: Place, after: float) -> tuple[int, str, str]:
    """Exit status (negative for a signal), stdout and stderr of a command that is interrupted after so many seconds."""
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
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return process.returncode, out.decode(), err.decode()


def faults(arguments: list[str], place: Place, *, count: int, seconds: float, seed: int) -> tuple[int, list[str]]:
    """Interrupt a command so many times, each at a moment of its own, and tell what was wrong.

    Args:
        arguments: The command, which has to work.
        place: Where it runs.
        count: How many times.
        seconds: How long it takes, about: moments are drawn from that.
        seed: Of the draws.
    """
    draw = random.Random(seed)
    wrong = []
    before = sorted(place.folder.iterdir())
    for number in range(count):
        # Half of them early: importing is the longest part.
        after = draw.uniform(0, seconds) ** (1 if number % 2 else 2) / (1 if number % 2 else seconds)
        code, _, err = interrupted(arguments, place, after)
        # A traceback without a line of ours is from before the first one.
        if ("Traceback" in err and "infini_" in err) or "Exception ignored" in err or "looks like a bug" in err:
            wrong.append(f"after {after:.3f} s: {err[-2000:]}")
        elif code not in (0, 130, -signal.SIGINT):
            wrong.append(f"after {after:.3f} s: exit {code}: {err[-500:]}")
        for left in set(place.folder.iterdir()) - set(before):
            if left.suffix == ".tmp" or left.name.startswith("."):
                wrong.append(f"after {after:.3f} s: {left.name} is left")
    return count, wrong
