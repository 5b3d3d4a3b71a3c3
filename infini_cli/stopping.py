"""Ctrl-C from the first line to the last: it ends the command, and never in a traceback.

Imports little: it has to be there before anything else is.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from infini_cli.exits import EXIT_INTERRUPTED

_SOON = 0.02


class _Asked:
    """Whether Ctrl-C is ours to handle, and whether it was pressed since the last `arm`."""

    ours = False
    now = False


def asked() -> bool:
    """Whether Ctrl-C was pressed: what is wrong after that may only be the way in which a library was stopped."""
    return _Asked.now


def arm() -> None:
    """Let the next Ctrl-C raise KeyboardInterrupt; the one after that ends the process, whatever it is doing."""
    _Asked.now = False
    if _Asked.ours:
        signal.signal(signal.SIGINT, _once)


def run(main: Callable[[], int]) -> int:
    """Run a program whose Ctrl-C never shows a traceback, however early or late it comes.

    Args:
        main: Imports and runs the program; returns its exit status.
    """
    # Somebody who has it ignored, as nohup does, is not asked.
    if signal.getsignal(signal.SIGINT) not in (signal.default_int_handler, signal.SIG_DFL):
        return main()
    _Asked.ours = True
    sys.unraisablehook = _raise_again
    try:
        arm()
        return main()
    except BaseException as stopped:
        if isinstance(stopped, KeyboardInterrupt) or asked():
            return EXIT_INTERRUPTED
        raise
    finally:
        # What runs at exit is nothing that could be stopped halfway.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _once(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _Asked.now = True
    raise KeyboardInterrupt


def _raise_again(about: Any) -> None:
    """Python drops what is raised in a destructor or a callback; a Ctrl-C that came just then is raised once more."""
    if not issubclass(about.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(about)
    elif sys.is_finalizing():
        os._exit(EXIT_INTERRUPTED)
    else:
        arm()
        # Not from in here, where it would be dropped again.
        main = threading.main_thread().ident
        again = threading.Timer(_SOON, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()
