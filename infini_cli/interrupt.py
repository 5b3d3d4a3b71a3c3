"""Ctrl-C, and other requests to end: as interrupts that clear up, and that wait for a good moment."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

# SIGTERM is what a system sends before it goes down, SIGHUP what a terminal does that is closed.
_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Inside, the first request to end only makes the yielded function return True; the second one interrupts."""
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    with _handled(note, _REQUESTS):
        yield lambda: asked


def cleared_away() -> contextlib.AbstractContextManager[None]:
    """Inside, SIGTERM and SIGHUP end the process as an exception does, so that what is half written is removed."""
    return _handled(_leave, _REQUESTS[1:])


def _leave(number: int, frame: FrameType | None) -> None:
    # As a shell tells of a process that a signal has ended.
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], requests: tuple[signal.Signals, ...]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What nohup or a shell has put aside stays aside.
    numbers = [number for number in requests if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, handled in zip(numbers, before, strict=True):
            signal.signal(number, handled)
