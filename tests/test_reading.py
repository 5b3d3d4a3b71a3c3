"""Where in a document reading is, and how it is shown."""

from __future__ import annotations

import re

import pytest
from cli_helpers import Terminal
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents import Block, Document
from infini_attention.documents.reading import Pages, blocks_within

from infini_cli import output
from infini_cli.output import Console

BLOCKS = (Block("one", 2), Block("four five", 2), Block("six", 5), Block("seven", 9))
TEXT = "\n\n".join(block.text for block in BLOCKS)


def document(blocks: tuple[Block, ...] = BLOCKS, pages: int | None = 12) -> Document:
    return Document("a.pdf", "pdf", "00", blocks, pages, pages, (), (), "test", None, ())


def page_of(position: int) -> int:
    """The page of a character of `TEXT`, looked for from the start; line ends belong to what stands before them."""
    found = 0
    for block in BLOCKS:
        start = TEXT.index(block.text)
        if position >= start:
            assert block.page is not None
            found = block.page
    return found


@given(st.integers(0, len(TEXT) - 1))
def test_page_of_every_character(position: int) -> None:
    pages = Pages(document())
    assert pages.at(position) == page_of(position)
    assert pages.place(position) == f"p. {page_of(position)} of 12"


def test_after_the_end_and_without_pages() -> None:
    assert Pages(document()).at(10_000) == 9
    plain = Pages(document(tuple(Block(block.text) for block in BLOCKS), None))
    assert (plain.at(3), plain.place(3)) == (None, "")
    # A block without a page does not hide those that follow.
    assert Pages(document((Block("title"), *BLOCKS))).at(0) == 2


@given(st.integers(0, len(TEXT) + 5))
def test_blocks_up_to_a_character(characters: int) -> None:
    kept = blocks_within(document(), characters)
    assert "\n\n".join(block.text for block in kept) == TEXT[:characters].removesuffix("\n").removesuffix("\n")
    assert [block.page for block in kept] == [block.page for block in BLOCKS[: len(kept)]]


def test_pages_speed_and_time_left_fit_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(output, "_count", lambda done, total, speed: f"{done:,}/{total:,} tokens 923 tokens/s")
    stream = Terminal()
    with Console(stderr=stream).progress(1_234_567, "reading") as advance:
        advance(345_678, "p. 312 of 1,400")
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    last = [line for line in re.split(r"[\r\n]+", plain) if "345,678" in line][-1]
    assert re.fullmatch(r"reading \S+ p\. 312 of 1,400  345,678/1,234,567 tokens 923 tokens/s \S*:\S+\s*", last), last
