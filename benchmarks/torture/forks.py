"""Work in processes that may die: forked from this one, which has everything imported already."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

STATUS = "/proc/self/status"


@dataclass(frozen=True)
class Ended:
    """How a forked process ended.

    Attributes:
        code: Its exit status; negative for a signal.
        answers: What it sent before.
        seconds: How long it took.
        most_bytes: The most memory that it had at once.
    """

    code: int
    answers: list[Any]
    seconds: float
    most_bytes: int


def forked(work: Callable[[Callable[[Any], None]], int | None], *, seconds: float, kill_after: float = 1e9) -> Ended:
    """Do work in a forked process.

    Args:
        work: Is given what sends an answer (of JSON values) to this process; returns an exit status, or None for 0.
        seconds: It is killed when so long goes by without an answer or its end.
        kill_after: It is killed then, whatever it does.
    """
    reading, writing = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _in_child(work, writing)
    os.close(writing)
    answers, pending, last = [], b"", start
    while True:
        now = time.monotonic()
        left = min(last + seconds, start + kill_after) - now
        if left <= 0:
            os.kill(child, signal.SIGKILL)
            break
        if not select.select([reading], [], [], left)[0]:
            continue
        part = os.read(reading, 1 << 16)
        if not part:
            break
        last = time.monotonic()
        *lines, pending = (pending + part).split(b"\n")
        answers += [json.loads(line) for line in lines]
    _, status, used = os.wait4(child, 0)
    os.close(reading)
    return Ended(os.waitstatus_to_exitcode(status), answers, time.monotonic() - start, used.ru_maxrss * 1024)


def _in_child(work: Callable[[Callable[[Any], None]], int | None], writing: int) -> NoReturn:
    code = 70
    try:

        def send(answer: Any) -> None:
            os.write(writing, json.dumps(answer).encode() + b"\n")

        code = work(send) or 0
    except BaseException:  # noqa: BLE001 - whatever it is, it is not this process's parent's
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


@contextlib.contextmanager
def memory_grown() -> Iterator[Callable[[], int]]:
    """What tells, inside, by how many bytes this process's memory has been above what it was at the beginning."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = _kilobytes("VmRSS:")
    yield lambda: 1024 * max(0, _kilobytes("VmHWM:") - before)


def _kilobytes(name: str) -> int:
    with open(STATUS) as file:
        return int(file.read().partition(name)[2].split()[0])


def resident_bytes() -> int:
    """Memory of this process now."""
    return 1024 * _kilobytes("VmRSS:")
