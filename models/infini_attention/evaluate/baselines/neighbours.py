"""Baseline ``knn``: one layer looks up the nearest of all keys ever read (Memorizing Transformers, arXiv 2203.08913).

Its keys and values are kept whole, so what is kept grows with the text. There is no trained gate as in the paper: what
is found joins local attention in one softmax. Keys are compared without their positions, which count from the start of
each segment and say nothing about the distance to another one.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, Self, cast

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ...memory.inject import memory_off
from .plain import PlainReader, rotated

NAME = "infini_neighbours"
TOP = 32
# The paper puts its lookup into the 9th of 12 layers.
DEPTH = 0.75
# Queries compared with all keys at once.
CHUNK = 128


class Neighbours(PlainReader):
    """Reads segment by segment; a segment is seen by itself, except by one layer.

    Args:
        model: a language model with rotary positions; a memory path in it is not used.
        segment_length: tokens of a segment.
        top: keys that each query finds.
        layer: the layer that looks up; by default at three quarters of the depth.
    """

    def __init__(self, model: PreTrainedModel, segment_length: int, top: int = TOP, layer: int | None = None) -> None:
        super().__init__(model, segment_length)
        layers = cast(Any, model.get_decoder()).layers
        self.top = top
        self.attention = layers[int(DEPTH * len(layers)) if layer is None else layer].self_attn
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    @property
    def state_bytes(self) -> int:
        """Bytes of the keys and values that are kept."""
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))

    def step(self, ids: Tensor) -> Tensor:
        """Reads one segment: see ``plain.PlainReader``."""
        hidden = super().step(ids)
        # The layer's local keys and values are those of the segment; later segments find them without positions.
        layer = cast(Any, self.cache).layers[self.attention.layer_idx]
        positions = torch.arange(layer.keys.shape[2], device=layer.keys.device)
        self.keys.append(rotated(self.model, layer.keys, -positions))
        self.values.append(layer.values)
        self.cache = DynamicCache()
        return hidden

    def fork(self) -> Self:
        """One that has read the same and goes on by itself."""
        other = super().fork()
        other.keys, other.values = copy.copy(self.keys), copy.copy(self.values)
        return other

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Inside, the layer looks up what was read."""
        before = self.model.config._attn_implementation or "sdpa"
        _register(before)
        self.attention._infini_neighbours = self._look_up if self.keys else None
        self.model.set_attn_implementation(NAME)
        try:
            with memory_off(self.model):
                yield
        finally:
            self.model.set_attn_implementation(before)
            del self.attention._infini_neighbours

    def _look_up(self, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        positions = torch.arange(key.shape[2] - query.shape[2], key.shape[2], device=query.device)
        plain = rotated(self.model, query, -positions)
        return attend(query, key, value, plain, torch.cat(self.keys, 2), torch.cat(self.values, 2), self.top, scaling)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    plain_query: Tensor,
    old_keys: Tensor,
    old_values: Tensor,
    top: int,
    scaling: float,
) -> Tensor:
    """Causal attention over a segment and, in the same softmax, over each query's nearest older keys.

    Args:
        query: ``[B, Hq, T, D]`` at its positions, the last ``T`` of the segment's.
        key, value: ``[B, Hkv, S, D]`` of the segment so far.
        plain_query: ``[B, Hq, T, D]``, without positions.
        old_keys, old_values: ``[B, Hkv, N, D]`` of closed segments, without positions.
        top: older keys that each query takes; all of them where there are fewer.
        scaling: of the products.

    Returns:
        ``[B, T, Hq, D]``.
    """
    groups, start = query.shape[1] // key.shape[1], key.shape[2] - query.shape[2]
    key, value, old_keys, old_values = (
        tensor.repeat_interleave(groups, 1) for tensor in (key, value, old_keys, old_values)
    )
    places = torch.arange(key.shape[2], device=key.device)
    top = min(top, old_keys.shape[2])
    parts = []
    for begin in range(0, query.shape[2], CHUNK):
        piece, plain = query[:, :, begin : begin + CHUNK], plain_query[:, :, begin : begin + CHUNK]
        local = (piece @ key.transpose(2, 3)).float() * scaling
        own = places[start + begin : start + begin + piece.shape[2], None]
        local = local.masked_fill(places[None] > own, -math.inf)
        found = ((plain @ old_keys.transpose(2, 3)).float() * scaling).topk(top, -1)
        weights = torch.cat([local, found.values], -1).softmax(-1).to(value.dtype)
        near, far = weights.split([key.shape[2], top], -1)
        index = found.indices[..., None].expand(*found.indices.shape, old_values.shape[-1])
        taken = old_values[:, :, None].expand(-1, -1, piece.shape[2], -1, -1).gather(3, index)
        parts.append(near @ value + (far[..., None] * taken).sum(3))
    return torch.cat(parts, 2).transpose(1, 2)


def _register(base: str) -> None:
    """Registers the attention function that looks up where a layer is told to, and is the base's elsewhere."""
    base_function: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS[base]

    def attention(
        module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        look_up = getattr(module, "_infini_neighbours", None)
        if look_up is None:
            return cast("tuple[Tensor, Tensor | None]", base_function(module, query, key, value, mask, **kwargs))
        return look_up(query, key, value, kwargs["scaling"]), None

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS[base])
