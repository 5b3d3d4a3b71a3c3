"""The pages that a run of text stands on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Placed(Protocol):
    """Something with a place, such as a block or a sentence."""

    @property
    def page(self) -> int | None:
        """Physical page, counted from 1."""

    @property
    def label(self) -> str | None:
        """The page's number as it is printed."""


@dataclass(frozen=True)
class Span:
    """First and last page of something.

    Attributes:
        pages: Physical ones, counted from 1.
        labels: The same as they are printed; None where the file does not tell both.
    """

    pages: tuple[int, int]
    labels: tuple[str, str] | None

    def __str__(self) -> str:
        first, last = self.labels or self.pages
        return f"p. {first}" if first == last else f"pp. {first}-{last}"


def span_of(parts: Iterable[Placed]) -> Span | None:
    """From the first page of the parts to the last; None where they have no pages."""
    printed = {part.page: part.label for part in parts if part.page is not None}
    if not printed:
        return None
    pages = (min(printed), max(printed))
    first, last = (printed[page] for page in pages)
    return Span(pages, None if first is None or last is None else (first, last))
