"""Where notes and progress go: to whoever runs a session, such as the command line. The library prints nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol


class Advance(Protocol):
    """Told of tokens that were just done, and where in the document that is, such as ``p. 112 of 400``."""

    def __call__(self, tokens: int, place: str = "", /) -> None: ...


class Reporter(Protocol):
    """Takes notes, details and progress."""

    def note(self, text: str) -> None:
        """A line that the person should know of."""

    def detail(self, text: str) -> None:
        """A line for those who asked for details."""

    def progress(self, total_tokens: int | None, label: str) -> AbstractContextManager[Advance]:
        """Inside, a job of so many tokens is done; what it gives is told of each part."""


class Silent:
    """Takes everything and says nothing."""

    def note(self, text: str) -> None:
        """See ``Reporter``."""

    def detail(self, text: str) -> None:
        """See ``Reporter``."""

    @contextlib.contextmanager
    def progress(self, total_tokens: int | None, label: str) -> Iterator[Advance]:
        """See ``Reporter``."""
        yield lambda tokens, place="": None


SILENT: Reporter = Silent()
