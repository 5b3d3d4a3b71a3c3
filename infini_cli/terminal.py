"""One gate for all that goes to a terminal: what a document, a file's name or a state says is shown, and never obeyed.

Terminals take orders in the text that they show: to write elsewhere on the screen, to rename the window, to put something on
the clipboard, to show letters in another order. Pipes and files get the text as it is.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import IO, Any, cast

# C0 without tab and newline, DEL and C1, what turns the direction of writing, and halves of characters.
_ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """A text as a terminal may have it: what it would obey is spelled out as in JSON, which stays JSON so."""
    return _ORDERS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Gate:
    """A terminal's stream that shows text and obeys none of it; in all else the stream itself.

    Args:
        stream: Of a terminal.
    """

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text as it may be shown."""
        self.stream.write(shown(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write texts one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def gated(stream: IO[str]) -> IO[str]:
    """A stream behind the gate, if a terminal is what it writes to."""
    if isinstance(stream, Gate) or not is_terminal(stream):
        return stream
    return cast(IO[str], Gate(stream))


def drawn_on(stream: IO[str]) -> IO[str]:
    """The stream itself, for what draws with orders of its own; every text in the drawing has to be `one_line` or `shown`."""
    return stream.stream if isinstance(stream, Gate) else stream


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person is looking at what is written there."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


@contextlib.contextmanager
def gate() -> Iterator[None]:
    """Inside, stdout and stderr are behind the gate, whoever writes to them."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast(Any, gated(sys.stdout)), cast(Any, gated(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
