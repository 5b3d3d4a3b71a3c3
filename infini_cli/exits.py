"""Errors that a person sees: always two lines, what went wrong and what to do about it."""

from __future__ import annotations

import errno
import os
from typing import TextIO

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INPUT = 3
EXIT_PARTIAL = 6
EXIT_INTERRUPTED = 130

_UNFORESEEN_HINT = "This looks like a bug in infini: please report it together with the command that you ran."


def exit_code_of(exception: BaseException) -> int:
    """The exit status for an exception: its own `exit_code`, 130 for Ctrl-C, 0 for a closed pipe, else 1."""
    code = getattr(exception, "exit_code", None)
    if isinstance(code, int):
        return code
    if isinstance(exception, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    if isinstance(exception, BrokenPipeError):
        return EXIT_OK
    return EXIT_INPUT if _of_a_file(exception) else EXIT_FAILURE


def one_line(text: str) -> str:
    """Fold text to one printable line; control characters (of a hostile file name, say) are escaped."""
    folded = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in folded)


def _of_a_file(error: BaseException) -> bool:
    """Whether the system refused what was asked of a file: the person named it, or has put something in its place."""
    return isinstance(error, OSError) and isinstance(error.filename, str | bytes) and bool(error.strerror)


def explanation(error: BaseException) -> tuple[str, str]:
    """What went wrong and what to do about it, a line each, for any exception.

    Args:
        error: An `InfiniError`, which carries `message` and `hint`, or anything else.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left where the answer goes", "Free some space, or send it elsewhere."
    message = getattr(error, "message", None)
    hint = getattr(error, "hint", None)
    if isinstance(error, OSError) and _of_a_file(error):
        message = f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}"
        hint = "Check the path, what it leads to, and who may use it."
    elif isinstance(error, MemoryError):
        message, hint = "there is not enough memory for this", "Ask for less at once, or free some memory."
    if not isinstance(message, str):
        detail = str(error)
        message = f"{type(error).__name__}: {detail}" if detail else type(error).__name__
    if not isinstance(hint, str) or not hint.strip():
        hint = _UNFORESEEN_HINT
    return one_line(message), one_line(hint)


def report(error: BaseException, stderr: TextIO) -> None:
    """Print `error: ...` and `hint: ...` for any exception.

    Args:
        error: See `explanation`.
        stderr: Where the two lines go.
    """
    message, hint = explanation(error)
    stderr.write(f"error: {message}\nhint: {hint}\n")
    stderr.flush()
