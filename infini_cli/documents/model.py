"""What every reader gives, whatever the file was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["pdf", "markdown", "text", "html", "epub", "docx", "pptx", "xlsx"]


@dataclass(frozen=True)
class Block:
    """A paragraph or another run of text that belongs together.

    Attributes:
        text: The text; never empty.
        page: Physical page it stands on, counted from 1; None where the file has no pages.
        heading: The latest heading at or above it, if any.
    """

    text: str
    page: int | None = None
    heading: str | None = None


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
        extractor: What took the text out, with its version.
        encoding: Character encoding of a text file.
        notes: Sentences for the person about anything left out, repaired or guessed.
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

    @property
    def text(self) -> str:
        """All blocks, joined by blank lines."""
        return "\n\n".join(block.text for block in self.blocks)
