"""Ctrl-C, and other requests to end: as interrupts that clear up, and that wait for a good moment."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

# SIGTERM is what a system sends before it goes down, SIGHUP what a terminal does that is closed.
_REQUESTS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Inside, the first request to end only makes the yielded function return True; the second one interrupts."""
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    with _handled(note):
        yield lambda: asked


def requests_interrupt() -> contextlib.AbstractContextManager[None]:
    """Inside, every request to end is a `KeyboardInterrupt`, so that what is half done is cleared away."""
    return _handled(_interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What nohup or a shell has put aside stays aside.
    numbers = [number for number in _REQUESTS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, handled in zip(numbers, before, strict=True):
            signal.signal(number, handled)
