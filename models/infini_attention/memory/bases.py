"""Which models can carry a memory: decided before anything in one is changed."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from ..errors import UseError
from .config import InfiniConfig
from .layout import Layout, find, layers_of

_HINT = "use a decoder whose layers all attend, such as Llama, Mistral, Qwen or Gemma; docs/python.md lists more"


def require_base(decoder: Any, config: InfiniConfig) -> dict[int, tuple[Any, Layout]]:
    """The attention of each layer that is to carry a memory, and its layout.

    Raises:
        UseError: the decoder has another architecture, or too few layers.
    """
    layers = layers_of(decoder)
    indices = range(len(layers)) if config.layers is None else config.layers
    if indices[-1] >= len(layers):
        raise UseError(
            f"the base has {len(layers)} layers, so layer {indices[-1]} cannot carry a memory",
            f"name layers from 0 to {len(layers) - 1}",
        )
    _require_attention_alone(decoder, layers)
    _require_positions(decoder, config.segment_length)
    found = {index: find(layers[index], decoder.config) for index in indices}
    shapes = {(layout.shape.kv_heads, layout.shape.size) for _, layout in found.values()}
    if len(shapes) > 1 and (config.ngrams or config.key_state_layers):
        raise UseError(
            "layers of several sizes cannot see n-grams or key states, which have one size",
            "leave ngrams and key_state_layers out",
        )
    return found


def _require_attention_alone(decoder: Any, layers: nn.ModuleList) -> None:
    """Refuses what carries tokens on by other ways than attention: at a segment's end it would be lost."""
    kind, config = type(decoder).__name__, decoder.config
    crossing = getattr(config, "add_cross_attention", False) or any(
        hasattr(layer, name) for layer in layers for name in ("encoder_attn", "crossattention", "cross_attn")
    )
    if getattr(config, "is_encoder_decoder", False) or crossing:
        raise UseError(f"{kind} also attends to an encoder", _HINT)
    if not _attends(config) or any(isinstance(module, nn.Conv1d) for module in layers.modules()):
        raise UseError(
            f"{kind} is a hybrid: it has recurrent or convolutional layers, or layers that share their keys; "
            "what they carry would be lost at the end of each segment",
            _HINT,
        )


def _require_positions(decoder: Any, segment_length: int) -> None:
    """Refuses segments that are longer than a table of learned positions."""
    learned = [getattr(decoder, name, None) for name in ("wpe", "embed_positions")]
    most = getattr(decoder.config, "max_position_embeddings", segment_length)
    if any(isinstance(table, nn.Embedding) for table in learned) and segment_length > most:
        raise UseError(
            f"{type(decoder).__name__} knows {most:,} positions, fewer than a segment of {segment_length:,} tokens",
            f"inject(model, InfiniConfig(segment_length={most}))",
        )


def _attends(config: PretrainedConfig) -> bool:
    """Whether all layers keep keys and values of their own, as far as transformers' cache tells."""
    try:
        kept = DynamicCache(config=config).layers
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in kept)
