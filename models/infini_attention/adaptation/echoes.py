"""Segments written again without being read again: memories as full as after a long text, for little more than nothing.

A ``deltanet`` update is an affine map of the memory, so what a segment wrote once can be applied anywhere else. That
teaches decays and write strengths what thousands of tokens between a fact and its question do. It is an approximation:
the segment, read again, would have written a little differently, because it would have read another memory.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence

from ..cache import InfiniCache
from ..memory import Memory, Transition, transition


class Echoes:
    """What the segments of a roll-out wrote, as maps of the memory.

    Args:
        cache: the roll-out's.
        wanted: numbers of the segments that will be written again.
    """

    def __init__(self, cache: InfiniCache, wanted: Collection[int]) -> None:
        self.cache, self.wanted = cache, wanted
        self.maps: dict[int, dict[int, Transition]] = {}

    def note(self, number: int) -> None:
        """Keeps what the open segment, number ``number``, is about to write."""
        if number in self.wanted:
            self.maps[number] = {index: transition(layer.open_write()) for index, layer in self.cache.memories.items()}

    def replay(self, numbers: Sequence[int], times: int) -> None:
        """Writes segments again, in this order, and all of that several times.

        The rows of a batch take turns, so that a row is not filled with nothing but its own text.
        """
        if not numbers:
            return
        for index, layer in self.cache.memories.items():
            maps = [self.maps[number][index].roll(turn) for turn, number in enumerate(numbers)]
            assert layer.memory is not None
            matrix = functools.reduce(Transition.then, maps).times(times).apply(layer.memory.matrix)
            layer.memory = Memory(matrix, None)
