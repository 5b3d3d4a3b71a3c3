"""Segments written again without being read again: memories as full as after a long text, for little more than nothing.

A ``deltanet`` update is an affine map of the memory, so what a segment wrote once can be applied anywhere else. That
teaches decays and betas what thousands of tokens between a fact and its question do. It is an approximation:
the segment, read again, would have written a little differently, because it would have read another memory.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from ..memory.cache import InfiniCache, stacked, together
from ..memory.rules import Memory, Transition, transition


class SegmentReplays:
    """What the segments of a roll-out wrote, as maps of the memory.

    Args:
        cache: the roll-out's.
        wanted: numbers of the segments that will be written again.
    """

    def __init__(self, cache: InfiniCache, wanted: Collection[int]) -> None:
        self.cache, self.wanted = cache, wanted
        self.groups: list[list[int]] = []
        self.maps: dict[int, list[Transition]] = {}

    def note(self, number: int) -> None:
        """Keeps what the open segment, number ``number``, is about to write."""
        if number not in self.wanted:
            return
        writes = [layer.open_write() for layer in self.cache.memories.values()]
        self.groups = together(writes)
        self.maps[number] = [
            Transition(*(x.unflatten(0, (len(group), -1)) for x in transition(stacked([writes[i] for i in group]))))
            for group in self.groups
        ]

    def replay(self, numbers: Sequence[int], times: int | Tensor) -> None:
        """Writes segments again, in this order, and all of that several times.

        The rows of a batch take turns, so that a row is not filled with nothing but its own text.
        """
        if not numbers:
            return
        layers = list(self.cache.memories.values())
        for place, group in enumerate(self.groups):
            maps = [self.maps[number][place].roll(turn) for turn, number in enumerate(numbers)]
            memories = [memory for i in group if (memory := layers[i].memory) is not None]
            matrices = torch.stack([memory.matrix for memory in memories])
            matrices = functools.reduce(Transition.then, maps).times(times).apply(matrices)
            for i, matrix in zip(group, matrices.unbind(), strict=True):
                layers[i].memory = Memory(matrix, None)
