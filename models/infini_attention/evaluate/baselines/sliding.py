"""Baselines without a memory: the base's own keys and values, of as much as a cache of bounded size holds.

- ``full``: plain attention over as much as the base was trained for;
- ``window``: the segment before the open one (Transformer-XL, arXiv 1901.02860);
- ``sinks``: the same and the first four tokens (StreamingLLM, arXiv 2309.17453).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .plain import PlainReader, rotated


class SlidingCache(PlainReader):
    """Reads segment by segment and forgets the oldest keys and values.

    Positions count within the cache, as StreamingLLM has them: what is kept moves back when something before it goes.

    Args:
        model: a language model with rotary positions; a memory path in it is not used.
        segment_length: tokens of a segment.
        window: tokens that are kept after each segment.
        sinks: first tokens of all, kept for ever.
    """

    def __init__(self, model: PreTrainedModel, segment_length: int, window: int, sinks: int = 0) -> None:
        super().__init__(model, segment_length)
        self.window, self.sinks = window, sinks

    @torch.inference_mode()
    def step(self, ids: Tensor) -> Tensor:
        """Reads one segment: see ``plain.PlainReader``."""
        hidden = super().step(ids)
        excess = self.cache.get_seq_length() - self.sinks - self.window
        if excess > 0:
            for layer in cast(list[Any], self.cache.layers):
                layer.keys = self._without(layer.keys, excess, moved=True)
                layer.values = self._without(layer.values, excess, moved=False)
        return hidden

    def _without(self, states: Tensor, excess: int, *, moved: bool) -> Tensor:
        first, rest = states[:, :, : self.sinks], states[:, :, self.sinks + excess :]
        if moved:
            rest = rotated(self.model, rest, torch.tensor([-excess], device=rest.device))
        return torch.cat([first, rest], 2)
