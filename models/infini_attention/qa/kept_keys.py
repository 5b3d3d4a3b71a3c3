"""Keys and values of passages, kept for the next question about the same text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

Passage = tuple[int, ...]
# Bytes of keys and values that are kept: about 9,000 tokens of the default model's reranker.
MOST = 256 * 2**20


class KeptKeys:
    """Keys and values of passages that were read by themselves, those that were asked for last.

    Args:
        most: bytes to keep.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most, self.nbytes = most, 0
        self._kept: OrderedDict[Passage, list[tuple[Tensor, ...]]] = OrderedDict()

    def __contains__(self, passage: Passage) -> bool:
        return passage in self._kept

    def clear(self) -> None:
        """Forgets everything: the model is another one now."""
        self._kept.clear()
        self.nbytes = 0

    def add(self, passages: Sequence[Passage], cache: DynamicCache) -> None:
        """Keeps what was read of passages, one a row of the cache, padded on the left."""
        for row, passage in enumerate(passages):
            count = len(passage)
            layers = cast(list[DynamicLayer], cache.layers)
            own = [
                tuple(one[row, :, -count:].clone() for one in (each.keys, each.values) if one is not None)
                for each in layers
            ]
            self._kept[passage] = own
            self.nbytes += _bytes(own)

    def together(self, passages: Sequence[Passage]) -> DynamicCache:
        """A cache with the keys and values of passages that are kept, one a row, padded on the left with zeros."""
        cache = DynamicCache()
        longest = max(map(len, passages))
        found = [self._kept[passage] for passage in passages]
        for index in range(len(found[0])):
            for_layer = []
            for which in (0, 1):
                own = [layers[index][which] for layers in found]
                padded = own[0].new_zeros(len(own), own[0].shape[0], longest, own[0].shape[2])
                for row, tensor in zip(padded, own, strict=True):
                    row[:, longest - tensor.shape[1] :] = tensor
                for_layer.append(padded)
            cache.update(for_layer[0], for_layer[1], index)
        for passage in passages:
            self._kept.move_to_end(passage)
        return cache

    def shrink(self) -> None:
        """Forgets what was asked for longest ago, until the rest is small enough."""
        while self.nbytes > self.most:
            _, layers = self._kept.popitem(last=False)
            self.nbytes -= _bytes(layers)


def _bytes(layers: Sequence[tuple[Tensor, ...]]) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in layers)
