"""What every reader gives, whatever the file was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["pdf", "markdown", "text", "html", "epub", "docx", "pptx", "xlsx"]


@dataclass(frozen=True)
class Block:
    """A paragraph or another run of text that belongs together.

    Attributes:
        text: The text; never empty.
        page: Physical page it stands on, counted from 1; None where the file has no pages.
        heading: The latest heading at or above it, if any.
        label: The page's number as it is printed, such as `xii` or `A-3`; None where the file does not tell.
    """

    text: str
    page: int | None = None
    heading: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class OutlineItem:
    """A chapter, a section or another part that has a title.

    Attributes:
        title: The title; never empty.
        level: How deep it is nested: 1 for the outermost parts.
        page: Physical page that it begins on, counted from 1; None where that is not known.
    """

    title: str
    level: int
    page: int | None = None


@dataclass(frozen=True)
class Document:
    """The text of one source and how it was got.

    Attributes:
        name: Name as shown to people.
        kind: What the content is.
        sha256: Hex digest of the source's bytes.
        blocks: The text in reading order.
        pages: Pages in the file; None where it has no pages.
        pages_read: Pages that were asked for and could be read, with or without text.
        empty_pages: Pages that were read and have no text.
        failed_pages: Pages that were asked for and could not be read.
        recognised_pages: Pages whose text was recognised in a picture.
        extractor: What took the text out, with its version.
        encoding: Character encoding of a text file.
        notes: Sentences for the person about anything left out, repaired or guessed.
        outline: Titles of its parts in order: a PDF's bookmarks, or the headings of Markdown.
        language: What it is written in, as an ISO 639-1 code; None where that cannot be told.
        clean_up: What the clean-up did and how often, by the names of `CleanReport.counts`; empty where there was none.
    """

    name: str
    kind: Kind
    sha256: str
    blocks: tuple[Block, ...]
    pages: int | None
    pages_read: int | None
    empty_pages: tuple[int, ...]
    failed_pages: tuple[int, ...]
    extractor: str
    encoding: str | None
    notes: tuple[str, ...]
    outline: tuple[OutlineItem, ...] = ()
    clean_up: Mapping[str, int] = field(default_factory=dict, hash=False)
    recognised_pages: tuple[int, ...] = ()
    language: str | None = None

    @property
    def text(self) -> str:
        """All blocks, joined by blank lines."""
        return "\n\n".join(block.text for block in self.blocks)
