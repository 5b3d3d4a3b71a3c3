"""A text cut at its chapters: by its headings, by lines that look like some, or into even parts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ..documents import Block
from ..documents.chapter_lines import openings
from ..documents.span import Span, span_of
from ..text.kept import KeptText

# More would cost more time than a reader has; fewer words are not worth a note of their own.
MOST = 40
LEAST_WORDS = 120
# Of a text without chapters, the words that a note stands for.
PART_WORDS = 1500


@dataclass(frozen=True)
class Chapter:
    """A part of a source with notes of its own.

    Attributes:
        title: Its heading; None where there is none.
        blocks: Its text; at least one.
    """

    title: str | None
    blocks: tuple[Block, ...]

    @property
    def words(self) -> int:
        """How many there are."""
        return sum(len(block.text.split()) for block in self.blocks)

    @property
    def span(self) -> Span | None:
        """The pages that it stands on; None where the source has no pages."""
        return span_of(self.blocks)


def chapters(text: KeptText, *, most: int = MOST) -> list[Chapter]:
    """The chapters of a source, in order; together they are all of it.

    Args:
        text: The source.
        most: Above so many, neighbours are joined.
    """
    found = _cut(text.blocks, [block.heading for block in text.blocks])
    if len(found) < 2:
        found = _cut(text.blocks, _titles_by_pattern(text.blocks))
    if len(found) < 2:
        found = _even_parts(text.blocks, most)
    found = _without_small(found)
    while len(found) > most:
        found = [_joined(found[first : first + 2]) for first in range(0, len(found), 2)]
    return found


def _cut(blocks: Sequence[Block], titles: Sequence[str | None]) -> list[Chapter]:
    found = []
    for title, group in itertools.groupby(zip(titles, blocks, strict=True), key=lambda pair: pair[0]):
        found.append(Chapter(title, tuple(block for _, block in group)))
    return found


def _titles_by_pattern(blocks: Sequence[Block]) -> list[str | None]:
    opened = openings([block.text.strip().split("\n") for block in blocks])
    titles: list[str | None] = []
    title = None
    for number in range(len(blocks)):
        title = opened.get(number, title)
        titles.append(title)
    return titles


def _even_parts(blocks: Sequence[Block], most: int) -> list[Chapter]:
    words = sum(len(block.text.split()) for block in blocks)
    parts = min(most, max(1, round(words / PART_WORDS)))
    found: list[Chapter] = []
    part: list[Block] = []
    count = 0
    for number, block in enumerate(blocks):
        part.append(block)
        count += len(block.text.split())
        if count >= words * (len(found) + 1) / parts or number + 1 == len(blocks):
            found.append(Chapter(None, tuple(part)))
            part = []
    return found


def _without_small(found: Sequence[Chapter]) -> list[Chapter]:
    """Chapters of a few words go to the next one, the last to the one before: a title page, a part's own heading."""
    kept: list[Chapter] = []
    waiting: list[Chapter] = []
    for chapter in found:
        waiting.append(chapter)
        if sum(one.words for one in waiting) >= LEAST_WORDS:
            kept.append(_joined(waiting))
            waiting = []
    if waiting:
        kept[-1:] = [_joined([*kept[-1:], *waiting])]
    return kept


def _joined(some: Sequence[Chapter]) -> Chapter:
    """One of several; it is called after the longest, or from the first to the last where none stands out."""
    if len(some) == 1:
        return some[0]
    large = [one for one in some if one.words >= LEAST_WORDS and one.title]
    titles = list(dict.fromkeys(one.title for one in large or some if one.title))
    title = None if not titles else titles[0] if len(titles) == 1 else f"{titles[0]} – {titles[-1]}"
    blocks = tuple(block for one in some for block in one.blocks)
    return Chapter(title, blocks)


def is_heading(block: Block) -> bool:
    """Whether a block is nothing but a heading."""
    return block.text.strip("# \n") == block.heading
