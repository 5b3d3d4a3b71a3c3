"""Page selections such as `1-40,55,60-`, and page numbers in a compact form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import UsageFailure

_PART = re.compile(r"(?:(?P<single>[0-9]{1,9})|(?P<first>[0-9]{1,9})?\s*-\s*(?P<last>[0-9]{1,9})?)")
_HINT = "Write pages like 1-40,55,60- (numbers count from 1 as the viewer shows them; 60- means to the end)."


@dataclass(frozen=True)
class PageSelection:
    """Pages that the person asked for.

    Attributes:
        ranges: Inclusive (first, last) pairs, counted from 1; a last of None means to the end.
    """

    ranges: tuple[tuple[int, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> PageSelection:
        """Read a selection such as `1-40,55,60-`.

        Raises:
            UsageFailure: If it is empty, has a page 0, runs backwards, or is not a selection at all.
        """
        return cls(tuple(_parse_part(part.strip(), text) for part in text.replace("\u2013", "-").split(",")))

    def resolve(self, total: int) -> tuple[int, ...]:
        """The selected pages of a document of `total` pages, in document order, each once.

        Raises:
            UsageFailure: If none of them is in the document.
        """
        chosen = {page for first, last in self.ranges for page in range(first, min(last or total, total) + 1)}
        if not chosen:
            raise UsageFailure(
                f"pages {self} are outside the document, which has {count_pages(total)}",
                f"Choose pages from 1 to {total}.",
            )
        return tuple(sorted(chosen))

    def beyond(self, total: int) -> str:
        """The part of the selection that lies after page `total`, in compact form; empty if none does."""
        outside = (
            _format_range(max(first, total + 1), last)
            for first, last in self.ranges
            if (last is None and first > total) or (last is not None and last > total)
        )
        return ", ".join(outside)

    def __str__(self) -> str:
        return ",".join(_format_range(first, last) for first, last in self.ranges)


def format_pages(pages: Iterable[int]) -> str:
    """Page numbers in compact form: `3-5, 9`."""
    runs: list[list[int]] = []
    for page in sorted(set(pages)):
        if runs and page == runs[-1][1] + 1:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    return ", ".join(_format_range(first, last) for first, last in runs)


def name_pages(pages: Iterable[int]) -> str:
    """`page 9` or `pages 3-5, 9`."""
    numbers = sorted(set(pages))
    return f"{'page' if len(numbers) == 1 else 'pages'} {format_pages(numbers)}"


def count_pages(total: int) -> str:
    """`1 page` or `12 pages`."""
    return f"{total} page" if total == 1 else f"{total} pages"


def _parse_part(part: str, whole: str) -> tuple[int, int | None]:
    match = _PART.fullmatch(part)
    if match is None or part == "-":
        raise UsageFailure(f"'{whole}' is not a selection of pages", _HINT)
    if match["single"] is not None:
        first: int = int(match["single"])
        last: int | None = first
    else:
        first = int(match["first"] or 1)
        last = int(match["last"]) if match["last"] is not None else None
    if first < 1 or last == 0:
        raise UsageFailure(f"'{whole}' asks for page 0", "Pages are counted from 1.")
    if last is not None and last < first:
        raise UsageFailure(f"'{whole}' has a range that runs backwards", f"Write {last}-{first}.")
    return first, last


def _format_range(first: int, last: int | None) -> str:
    if last is None:
        return f"{first}-"
    return str(first) if first == last else f"{first}-{last}"
