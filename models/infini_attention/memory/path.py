"""The memory path beside one attention layer of the base.

The base's own queries, keys and values (before rotary embedding), each with a zero-initialised low-rank change, read
and write the layer's memory; the gated read is added to local attention before the output projection.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .config import InfiniConfig
from .gated_state import held_before_and_after
from .layer_memory import LayerMemory, Passed
from .rules import Write, accumulator, retrieve, unit_norm

# What an n-gram weighs in an untrained path, beside a key or query of length one.
NGRAM_SCALE = 0.7
# Likewise what a gated key state weighs, and the bias of a state's gate: it holds about the last four tokens.
KEY_STATE_SCALE, STATE_BIAS = 0.7, -1.5
# What a gated value state weighs beside a token's own value.
VALUE_STATE_SCALE = 0.5


class HeadShape(NamedTuple):
    """Sizes of an attention layer: hidden size, query heads, KV heads, size of a head."""

    hidden: int
    query_heads: int
    kv_heads: int
    size: int


class Projected(NamedTuple):
    """Inputs of an attention layer, as the base computed them.

    Attributes:
        hidden: ``[B, T, C]``, what the projections saw.
        query: ``[B, T, Hq, D]`` without rotary embedding; likewise ``key`` and ``value`` with KV heads.
        ngrams: ``[lengths, B, T + 1, Hkv, D]`` (see ``ngrams.bind``); ``None`` where the path sees none.
        signs: ``[B, T, Hkv, D]``, of the tokens; ``None`` where the path needs none.
    """

    hidden: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    ngrams: Tensor | None = None
    signs: Tensor | None = None


class MemoryPath(nn.Module):
    """Trained parameters of one layer's memory, kept in float32 and used in the base's dtype.

    Args:
        config: configuration of the memory path.
        shape: sizes of the attention layer that it stands beside.
        device: where the parameters live.
        index: of the layer. It draws the only random part, so an untrained path is the same in every process.

    A new path reads and writes with the base's own projections; as long as the memory is empty it adds nothing.
    """

    def __init__(
        self,
        config: InfiniConfig,
        shape: HeadShape,
        device: torch.device | None = None,
        index: int = 0,
    ) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        hidden, rank = shape.hidden, config.rank

        def zeros(*size: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(*size, dtype=torch.float32, device=device))

        def full(size: int, value: float) -> nn.Parameter:
            return nn.Parameter(torch.full((size,), value, dtype=torch.float32, device=device))

        streams = 4 if config.key_shift else 3
        noise = torch.randn(hidden, streams * rank, generator=torch.Generator().manual_seed(index))
        self.down = nn.Parameter((noise / math.sqrt(hidden)).to(device))
        self.query_up = zeros(rank, shape.query_heads * shape.size)
        self.key_up = zeros(rank, shape.kv_heads * shape.size)
        self.value_up = zeros(rank, shape.kv_heads * shape.size)
        if config.key_shift:
            self.shift_up = zeros(rank, shape.kv_heads * shape.size)
        if config.ngrams:
            self.ngram_of_head = [(index + head) % len(config.ngrams) for head in range(shape.kv_heads)]
            self.ngram_scale = full(shape.kv_heads, NGRAM_SCALE)
        self.has_key_state = index in config.key_state_layers
        if self.has_key_state:
            self.key_state_weight = zeros(hidden, shape.kv_heads)
            self.key_state_bias = full(shape.kv_heads, STATE_BIAS)
            self.key_state_scale = full(shape.kv_heads, KEY_STATE_SCALE)
        self.has_value_state = index in config.value_state_layers
        if self.has_value_state:
            self.value_state_weight = zeros(hidden, shape.kv_heads)
            self.value_state_bias = full(shape.kv_heads, STATE_BIAS)
            self.value_state_scale = full(shape.kv_heads, VALUE_STATE_SCALE)
        self.gate_bias = full(shape.query_heads, config.gate_bias)
        if config.gate == "residual":
            self.gate_weight = zeros(hidden, shape.query_heads)
        if config.update_rule == "deltanet":
            self.beta_weight = zeros(hidden, shape.kv_heads)
            self.beta_bias = zeros(shape.kv_heads)
            self.g_weight = zeros(hidden, shape.kv_heads)
            self.g_bias = nn.Parameter(
                torch.tensor(
                    [_g_bias(config.decay_tokens[h % len(config.decay_tokens)]) for h in range(shape.kv_heads)],
                    dtype=torch.float32,
                    device=device,
                )
            )

    def forward(self, inputs: Projected, local: Tensor, layer: LayerMemory) -> Tensor:
        """Reads the memory for every token and notes what the tokens will write when their segment closes.

        Args:
            inputs: the layer's projections, of tokens that all belong to the open segment.
            local: ``[B, T, Hq, D]``, the base's attention within the segment.
            layer: the layer's memory; its pending writes, and what its tokens hand on, are extended.

        Returns:
            ``[B, T, Hq, D]`` in the dtype of ``local``; ``local`` itself while the memory is empty.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() or layer.learn_writes):
            low = self._project(inputs.hidden)
            values = self._values(inputs, low)
            held_signs, held_values = self._held(inputs, low, values, layer)
            beside = self._beside(inputs, held_signs)
            if held_values is not None:
                scale = self.value_state_scale[:, None, None]
                values = (values + scale * held_values[:, :, :-1]).to(values.dtype)
            layer.pending.append(self._write(inputs, low, layer, beside, values))
            layer.passed.append(_passed(low, held_signs, held_values))
        if layer.memory is None:
            return local
        query = inputs.query + (low["query"] @ self.query_up.to(local.dtype)).view_as(inputs.query)
        if beside is not None:
            group = query.shape[2] // beside.shape[2]
            query = unit_norm(query) + beside[:, 1:].repeat_interleave(group, 2)
        read = retrieve(self.config.update_rule, layer.memory, query.transpose(1, 2)).transpose(1, 2)
        gate = torch.sigmoid(self._gate_logits(low))[..., None]
        if self.config.gate == "convex":
            # Paper, equation 6.
            return (gate * read + (1 - gate) * accumulator(local)).to(local.dtype)
        return local + (gate * read).to(local.dtype)

    def _project(self, hidden: Tensor) -> dict[str, Tensor]:
        """Everything that is linear in the hidden states, in one product."""
        names = ["query", "key", "value"]
        weights: list[Tensor] = [self.down]
        sizes = [self.config.rank] * 3
        if self.config.key_shift:
            names, sizes = [*names, "shift"], [*sizes, self.config.rank]
        if self.config.gate == "residual":
            names, sizes = [*names, "gate"], [*sizes, self.shape.query_heads]
            weights.append(self.gate_weight)
        if self.config.update_rule == "deltanet":
            names, sizes = [*names, "beta", "g"], [*sizes, self.shape.kv_heads, self.shape.kv_heads]
            weights += [self.beta_weight, self.g_weight]
        if self.has_key_state:
            names, sizes = [*names, "key_state"], [*sizes, self.shape.kv_heads]
            weights.append(self.key_state_weight)
        if self.has_value_state:
            names, sizes = [*names, "value_state"], [*sizes, self.shape.kv_heads]
            weights.append(self.value_state_weight)
        product = hidden @ torch.cat(weights, 1).to(hidden.dtype)
        return dict(zip(names, product.split(sizes, -1), strict=True))

    def _values(self, inputs: Projected, low: dict[str, Tensor]) -> Tensor:
        """The tokens' own, ``[B, H, T, V]``."""
        change = low["value"] @ self.value_up.to(inputs.hidden.dtype)
        return (inputs.value + change.view_as(inputs.value)).transpose(1, 2)

    def _held(
        self, inputs: Projected, low: dict[str, Tensor], values: Tensor, layer: LayerMemory
    ) -> tuple[Tensor | None, Tensor | None]:
        """What the gated key and value states hold: ``[B, H, T + 1, D]``, before the first token and after each.

        Both are computed at once: a gated state takes many small operations.
        """
        taken: list[Tensor] = []
        logits: list[Tensor] = []
        if self.has_key_state:
            assert inputs.signs is not None
            taken.append(inputs.signs.to(inputs.hidden.device).transpose(1, 2))
            logits.append(accumulator(low["key_state"]) + self.key_state_bias)
        if self.has_value_state:
            taken.append(values)
            logits.append(accumulator(low["value_state"]) + self.value_state_bias)
        if not taken:
            return None, None
        before = [held for held in (layer.key_state, layer.value_state) if held is not None]
        first = torch.cat(before, 1) if before else None
        held = held_before_and_after(torch.cat(taken, 1), torch.cat(logits, 2).transpose(1, 2), first)
        signs, values = held.tensor_split([taken[0].shape[1] if self.has_key_state else 0], 1)
        return signs if self.has_key_state else None, values if self.has_value_state else None

    def _beside(self, inputs: Projected, held_signs: Tensor | None) -> Tensor | None:
        """What stands in keys and queries beside hidden states: n-grams and the gated key state.

        Returns:
            ``[B, T + 1, Hkv, D]``: of the tokens before the first one and after each. A key sees what stands before its token,
            a query what stands after it. ``None``: nothing.
        """
        parts = []
        if inputs.ngrams is not None:
            found = torch.stack([inputs.ngrams[n, :, :, head] for head, n in enumerate(self.ngram_of_head)], 2)
            parts.append(found.to(inputs.hidden.device) * self.ngram_scale[:, None])
        if held_signs is not None:
            parts.append(unit_norm(held_signs.transpose(1, 2)) * self.key_state_scale[:, None])
        if not parts:
            return None
        return functools.reduce(torch.add, parts).to(inputs.hidden.dtype)

    def _gate_logits(self, low: dict[str, Tensor]) -> Tensor:
        """``[B, T, Hq]``, or ``[Hq]`` for the convex gate, which sees no token."""
        if self.config.gate == "convex":
            return self.gate_bias
        return accumulator(low["gate"]) + self.gate_bias

    def _write(
        self, inputs: Projected, low: dict[str, Tensor], layer: LayerMemory, beside: Tensor | None, values: Tensor
    ) -> Write:
        dtype = inputs.hidden.dtype
        change = low["key"] @ self.key_up.to(dtype)
        if self.config.key_shift:
            shift = low["shift"]
            first = torch.zeros_like(shift[:, :1]) if layer.previous is None else layer.previous
            change = change + torch.cat([first, shift[:, :-1]], 1) @ self.shift_up.to(dtype)
        keys = inputs.key + change.view_as(inputs.key)
        if beside is not None:
            keys = unit_norm(keys) + beside[:, :-1]
        keys = keys.transpose(1, 2)
        if self.config.update_rule != "deltanet":
            return Write(keys, values)
        beta = torch.sigmoid(accumulator(low["beta"]) + self.beta_bias)
        g = nn.functional.logsigmoid(accumulator(low["g"]) + self.g_bias)
        return Write(keys, values, beta.transpose(1, 2), g.transpose(1, 2))


def _passed(low: dict[str, Tensor], held_signs: Tensor | None, held_values: Tensor | None) -> Passed:
    """What each token hands on; what is held before the first one was handed on by another."""
    return Passed(
        low["shift"][:, None] if "shift" in low else None,
        None if held_signs is None else held_signs[:, :, 1:],
        None if held_values is None else held_values[:, :, 1:],
    )


def _g_bias(decay_tokens: float) -> float:
    """The bias at which sigmoid(bias) is the decay a token that leaves 1/e after ``decay_tokens`` tokens."""
    # Beyond this the rate is under float32's resolution next to 1, and its gradient is nothing.
    rate = max(1 / decay_tokens, 1e-7)
    return -math.log(math.expm1(rate))
