"""Sentences out of many: those that come first in an order, and none that says what another one says."""

from __future__ import annotations

from collections.abc import Sequence

from ..text.search import stems

# Two sentences that share so much of their words say the same.
SAME = 0.6


def pick(
    texts: Sequence[str],
    order: Sequence[int],
    words: int,
    *,
    language: str | None = None,
    most: int | None = None,
) -> list[int]:
    """Numbers of the sentences that fit into so many words, the first ones of an order; in reading order, at least one.

    Args:
        texts: Sentences in reading order.
        order: Numbers of those that may be picked, the best one first; at least one.
        words: About how many there is room for; the first one of all may have more.
        language: Theirs, as an ISO 639-1 code.
        most: Sentences, at most.
    """
    means = dict(zip(order, map(set, stems([texts[number] for number in order], language)), strict=True))
    picked: list[int] = []
    for number in order:
        size = len(texts[number].split())
        if len(picked) == most:
            break
        if (size <= words or not picked) and not any(_same(means[number], means[other]) for other in picked):
            picked.append(number)
            words -= size
    return sorted(picked)


def _same(one: set[str], other: set[str]) -> bool:
    return one == other or len(one & other) >= SAME * max(1, min(len(one), len(other)))
