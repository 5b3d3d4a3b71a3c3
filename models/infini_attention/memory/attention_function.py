"""The attention function that a base calls: its own, and then what the memory adds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ..errors import UseError

PREFIX = "infini_"
EAGER = "eager"


def require(decoder: Any, attentions: Sequence[nn.Module]) -> str:
    """The decoder's attention implementation, which a memory can be added to.

    Raises:
        UseError: its attention is no function that can be wrapped.
    """
    kind = type(decoder).__name__
    if not isinstance(decoder, PreTrainedModel) or not decoder._can_set_attn_implementation():
        raise UseError(
            f"{kind} does not call its attention through transformers' AttentionInterface, so nothing can be added to it",
            "docs/python.md lists the families of models that can carry a memory",
        )
    name: str = decoder.config._attn_implementation or "sdpa"
    if name == EAGER:
        if any(_eager_function(type(attention)) is None for attention in attentions) or getattr(
            decoder.config, "reorder_and_upcast_attn", False
        ):
            raise UseError(f"{kind} has an eager attention of its own, which cannot be wrapped", _other(decoder))
    elif name not in ALL_ATTENTION_FUNCTIONS or name not in ALL_MASK_ATTENTION_FUNCTIONS:
        raise UseError(f"nothing can be added to the attention implementation {name!r}", _other(decoder))
    return name


def _other(decoder: PreTrainedModel) -> str:
    other = "sdpa" if decoder._supports_sdpa else EAGER
    return f"load the model with attn_implementation={other!r}"


def registered(base: str) -> str:
    """Registers, once a base implementation, the attention function that adds the memory to it; its name."""
    name = PREFIX + base
    if name not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(name, _adding_memory(base))
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[base])
    return name


def switch(decoder: PreTrainedModel, name: str) -> None:
    """Has a decoder call another attention function.

    Raises:
        UseError: it does not.
    """
    decoder.set_attn_implementation(name)
    if decoder.config._attn_implementation != name:
        raise UseError(
            f"{type(decoder).__name__} keeps its attention implementation {decoder.config._attn_implementation!r}",
            "docs/python.md lists the families of models that can carry a memory",
        )


def _adding_memory(base: str) -> Callable[..., tuple[Tensor, Tensor | None]]:
    def attend(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
        function = _eager_function(type(module)) if base == EAGER else ALL_ATTENTION_FUNCTIONS[base]
        assert function is not None
        local, weights = function(module, query, key, value, *args, **kwargs)
        tap = getattr(module, "_infini_tap", None)
        return (local if tap is None else tap.attend(local, value)), weights

    return attend


def _eager_function(attention: type) -> Callable[..., Any] | None:
    """The eager attention of a model's own file, which no registry holds."""
    for kind in attention.__mro__:
        function = getattr(sys.modules.get(kind.__module__), "eager_attention_forward", None)
        if function is not None:
            return function  # type: ignore[no-any-return]
    return None
