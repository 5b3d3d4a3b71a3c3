"""Where attention layers have their queries, keys and values: the layouts of transformers' families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from ..errors import UseError
from .path import HeadShape

# Where a decoder has its layers, and a layer its attention.
_LAYERS = ("layers", "h")
_ATTENTIONS = ("self_attn", "attention", "attn")
_SEPARATE = ("q_proj", "k_proj", "v_proj")
# One projection of all three, side by side or head by head.
_FUSED = ("qkv_proj", "c_attn", "Wqkv", "query_key_value")
# Norms of queries, keys and values by the names that families give them; none of them moves a head.
_NORMS = (
    ("q_norm", "query_layernorm", "q_layernorm", "qk_norm"),
    ("k_norm", "key_layernorm", "k_layernorm", "qk_norm"),
    ("v_norm",),
)
_HINT = "docs/python.md lists the families of models that can carry a memory"


class Layout(NamedTuple):
    """How an attention layer's projections make its queries, keys and values.

    Attributes:
        projections: names of the linear maps, one or three.
        shape: sizes of the layer.
        by_head: whether one map has each head's query, key and value side by side.
    """

    projections: tuple[str, ...]
    shape: HeadShape
    by_head: bool = False

    def heads(self, attention: nn.Module, caught: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, ``[B, T, H, D]`` each, from what the projections gave, ``[B, T, C]``."""
        flat = self._flat([caught[name] for name in self.projections])
        query, key, value = (self._normal(attention, *one) for one in zip(flat, _NORMS, strict=True))
        return query, key, value

    def _flat(self, outputs: list[Tensor]) -> Sequence[Tensor]:
        if len(outputs) == 3:
            return outputs
        if self.by_head:
            parts = outputs[0].unflatten(-1, (self.shape.query_heads, 3 * self.shape.size)).chunk(3, -1)
            return [part.flatten(-2) for part in parts]
        own, shared = self.shape.query_heads * self.shape.size, self.shape.kv_heads * self.shape.size
        return torch.split(outputs[0], [own, shared, shared], -1)

    def _normal(self, attention: nn.Module, flat: Tensor, names: tuple[str, ...]) -> Tensor:
        norm = next((found for name in names if isinstance(found := getattr(attention, name, None), nn.Module)), None)
        states: Tensor = flat.unflatten(-1, (-1, self.shape.size))
        if norm is None:
            return states
        weight = getattr(norm, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 1 and len(weight) == flat.shape[-1]:
            # All heads as one, as OLMo 2 has it.
            return cast(Tensor, norm(flat)).view_as(states)
        if hasattr(norm, "norms"):
            # A norm for each head, as StableLM has it; heads come before tokens there.
            return cast(Tensor, norm(states.transpose(1, 2))).transpose(1, 2)
        return cast(Tensor, norm(states))


def layers_of(decoder: Any) -> nn.ModuleList:
    """A decoder's layers.

    Raises:
        UseError: it has no list of them.
    """
    for name in _LAYERS:
        if isinstance(layers := getattr(decoder, name, None), nn.ModuleList):
            return layers
    raise UseError(f"{type(decoder).__name__} has no list of decoder layers to put a memory into", _HINT)


def find(layer: nn.Module, config: PretrainedConfig) -> tuple[Any, Layout]:
    """A decoder layer's attention, and its layout.

    Args:
        layer: of the decoder.
        config: the decoder's.

    Raises:
        UseError: it has none that a memory can stand beside.
    """
    attention: Any = next(
        (found for name in _ATTENTIONS if isinstance(found := getattr(layer, name, None), nn.Module)), None
    )
    if attention is None:
        raise UseError(f"{type(layer).__name__} has no attention to put a memory beside", _HINT)
    size = getattr(attention, "head_dim", None) or getattr(attention, "head_size", None)
    if hasattr(attention, "lambda_init"):
        raise UseError(f"{type(attention).__name__} is the difference of two attentions", _HINT)
    if isinstance(size, int) and all(_is_linear(getattr(attention, name, None)) for name in _SEPARATE):
        return attention, _separate(attention, size)
    fused = [name for name in _FUSED if isinstance(getattr(attention, name, None), nn.Module)]
    if isinstance(size, int) and len(fused) == 1:
        return attention, _fused(attention, config, fused[0], size)
    raise UseError(
        f"{type(attention).__name__} has neither separate query, key and value projections nor a fused one that is known",
        _HINT,
    )


def _is_linear(module: Any) -> bool:
    return all(isinstance(getattr(module, name, None), int) for name in ("in_features", "out_features"))


def _separate(attention: Any, size: int) -> Layout:
    query, key, value = (getattr(attention, name) for name in _SEPARATE)
    if key.out_features != value.out_features or query.out_features % key.out_features or key.out_features % size:
        raise UseError(f"{type(attention).__name__} has values of another size than its keys", _HINT)
    shape = HeadShape(query.in_features, query.out_features // size, key.out_features // size, size)
    return Layout(_SEPARATE, shape)


def _fused(attention: Any, config: PretrainedConfig, name: str, size: int) -> Layout:
    kind = type(attention).__name__
    if getattr(config, "clip_qkv", None) or getattr(attention, "clip_qkv", None):
        raise UseError(f"{kind} clips its queries, keys and values, which a memory does not", _HINT)
    heads = config.num_attention_heads
    # Multi-query attention names no number; GPT-NeoX and GPT-2 have a key and a value for each query.
    many = getattr(attention, "kv_heads", None) or getattr(attention, "num_key_value_heads", None) or heads
    by_head = name == "query_key_value" or (name == "c_attn" and getattr(attention, "multi_query", None) is False)
    layout = Layout((name,), HeadShape(config.hidden_size, heads, many, size), by_head)
    out = getattr(getattr(attention, name), "out_features", None) or getattr(getattr(attention, name), "nf", None)
    if out is not None and out != (heads + 2 * many) * size:
        raise UseError(f"{kind}'s fused projection has {out} rows, not those of {heads} queries on {many} keys", _HINT)
    return layout
