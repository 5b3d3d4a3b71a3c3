"""What a backend takes out of a PDF before the clean-up, and what all backends do alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .page_lines import PageLine

REPAIR_HINT = "Try to repair the file, for example with: qpdf --replace-input FILE, or download it again."


class Locked(Exception):
    """A PDF is encrypted, and the password given, if any, does not open it."""


@dataclass(frozen=True)
class Bookmark:
    """An entry of a PDF's outline.

    Attributes:
        title: The title; never empty.
        level: 1 for the outermost.
        page: Physical page that it points to, counted from 1; None where that is not known.
        top: Height on the page that it points to, in points from the page's foot; None where the file does not tell.
    """

    title: str
    level: int
    page: int | None = None
    top: float | None = None


@dataclass(frozen=True)
class PageText:
    """The text of one page.

    Attributes:
        lines: In the order of a reader; None if the page cannot be read.
        reordered: Whether its columns were mixed line by line, and now follow each other.
        scan: Whether it is a picture of paper with next to no letters.
        garbled: Whether its letters are not those that a reader sees.
        recognised: Whether the letters were recognised in a picture.
        partial: Whether a part of it could not be read.
        stopped: Whether it took more time or memory than a page may take.
    """

    lines: tuple[PageLine, ...] | None
    reordered: bool = False
    scan: bool = False
    garbled: bool = False
    recognised: bool = False
    partial: bool = False
    stopped: bool = False

    @property
    def text(self) -> str:
        """Its lines as one text."""
        return "\n".join(line.text for line in self.lines or ())


@dataclass
class Extracted:
    """What came out of the chosen pages of a PDF.

    Attributes:
        extractor: What took it out, with its version.
        total: Pages in the file.
        chosen: Pages that were asked for, counted from 1, in order.
        pages: Their texts.
        outline: The bookmarks, in order.
        labels: Page numbers as they are printed, where the file tells.
        repaired: Whether the file was cut short, or its index is damaged.
    """

    extractor: str
    total: int
    chosen: tuple[int, ...]
    pages: dict[int, PageText] = field(default_factory=dict)
    outline: tuple[Bookmark, ...] = ()
    labels: Mapping[int, str] = field(default_factory=dict)
    repaired: bool = False

    def numbers(self, what: str) -> list[int]:
        """Numbers of the pages for which an attribute of `PageText` is true."""
        return [number for number in self.chosen if number in self.pages and getattr(self.pages[number], what)]

    @property
    def failed(self) -> list[int]:
        """Pages that could not be read."""
        return [number for number in self.chosen if number not in self.pages or self.pages[number].lines is None]
