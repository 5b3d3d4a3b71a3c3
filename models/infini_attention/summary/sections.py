"""A chapter cut into sections: each has a note of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Words of a section, about: what a segment of the default model holds.
SECTION_WORDS = 400


def sections(words: Sequence[int], most: int = SECTION_WORDS) -> Iterator[range]:
    """Runs of sentences of about the same size, in order.

    Args:
        words: Of each sentence of a chapter.
        most: Of a section, about.
    """
    total = sum(words)
    count = max(1, round(total / most))
    start = done = cut = 0
    for number, own in enumerate(words):
        done += own
        if done * count >= total * (cut + 1):
            yield range(start, number + 1)
            start, cut = number + 1, cut + 1
    if start < len(words):
        yield range(start, len(words))
