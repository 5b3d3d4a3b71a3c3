"""How far the reading of a document is, in pages and words, and how Ctrl-C ends it."""

from __future__ import annotations

import bisect
import dataclasses
import itertools

from infini_attention.documents import Block, Document

# Between two blocks, and after the last one.
DOCUMENT_END = "\n\n"


class ReadingInterrupted(KeyboardInterrupt):
    """Somebody stopped the reading of documents; what was read until then is in the session, whole and usable.

    Attributes:
        tokens: Tokens of the documents that were read.
        total: Tokens that the documents have.
        place: Where reading stopped, for people, such as `p. 3 of 12 of a book.pdf`.
    """

    def __init__(self, tokens: int, total: int, place: str) -> None:
        super().__init__(f"read {tokens} of {total} tokens")
        self.tokens, self.total, self.place = tokens, total, place


class Pages:
    """Which page of a document a number of characters reaches into.

    Args:
        document: Any document, with pages or without.
    """

    def __init__(self, document: Document) -> None:
        self.blocks = document.blocks
        self.count = document.pages
        lengths = (len(block.text) + len(DOCUMENT_END) for block in document.blocks)
        self.ends = list(itertools.accumulate(lengths))

    @property
    def last(self) -> int | None:
        """The last page with text; None where there are no pages."""
        return self.blocks[-1].page

    def at(self, characters: int) -> int | None:
        """The page that the character after so many of them stands on; None where there are no pages."""
        ahead = self.blocks[bisect.bisect_right(self.ends, characters) :]
        return next((block.page for block in ahead if block.page is not None), self.last)

    def place(self, characters: int) -> str:
        """The same for people, such as `p. 112 of 400`; empty where there are no pages."""
        page = self.at(characters)
        return "" if page is None else f"p. {page:,} of {self.count:,}" if self.count else f"p. {page:,}"


def blocks_within(document: Document, characters: int) -> tuple[Block, ...]:
    """The document's blocks up to a number of characters, the last one cut there."""
    blocks = []
    for block in document.blocks:
        if characters <= 0:
            break
        blocks.append(dataclasses.replace(block, text=block.text[:characters]))
        characters -= len(block.text) + len(DOCUMENT_END)
    return tuple(blocks)


def what_was_read(document: Document, tokens: int, segments: int, waiting: int) -> str:
    """A line about a document that was read.

    Args:
        document: The document.
        tokens: Tokens that were read of it.
        segments: Segments that were closed while it was read.
        waiting: Tokens in the open segment.
    """
    pages = "" if document.pages is None else f"{document.pages_read} of {document.pages} pages, "
    closed = "1 segment" if segments == 1 else f"{segments:,} segments"
    return f"{document.name}: {pages}{tokens:,} tokens, {closed} ({waiting:,} tokens wait in the open segment)"
