"""What a model with a memory path can be called with. All else is refused, and nothing is read wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import UseError
from .cache import InfiniCache

# Several texts in one row, as collators for flash attention pack them.
_PACKED = ("cu_seq_lens_q", "cu_seq_lens_k", "seq_idx")
_WHOLE = "give each text a row of its own, without padding, or read texts one by one"


def require_tokens(input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
    """What is to be read: ``[B, T]`` ids or ``[B, T, C]`` embeddings.

    Raises:
        UseError: there is nothing, or both.
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise UseError("a model reads either input_ids or inputs_embeds", "pass one of the two")
    whole = inputs_embeds if input_ids is None else input_ids
    assert whole is not None
    axes = 2 if input_ids is not None else 3
    if whole.ndim != axes:
        raise UseError(f"the input has {whole.ndim} axes, not {axes}", "pass ids [batch, tokens], such as ids[None]")
    if not whole.shape[0] or not whole.shape[1]:
        raise UseError("there are no tokens to read", "pass at least one")
    return whole


def require_own_cache(cache: Any) -> None:
    """Refuses other caches than ours.

    Raises:
        UseError: it is of another kind, and would be filled as if there were no segments.
    """
    if cache is not None and not isinstance(cache, InfiniCache):
        raise UseError(
            f"a model with a memory path keeps its state in an InfiniCache, not in a {type(cache).__name__}",
            "pass past_key_values=new_cache(model), or none",
        )


def refuse_own_cache(cache: Any) -> None:
    """Refuses our cache where memory is off.

    Raises:
        UseError: it is given.
    """
    if isinstance(cache, InfiniCache):
        raise UseError("an InfiniCache was given where memory is off", "pass another cache, or leave memory_off")


def refuse_padding(attention_mask: Any) -> None:
    """Refuses masks that hide a token: every token that is read is written.

    Raises:
        UseError: there is padding, or a mask of one's own.
    """
    # One new token can only be told apart by its padding before, which was refused when it came.
    if attention_mask is None or (isinstance(attention_mask, Tensor) and attention_mask.shape[-1] <= 1):
        return
    if not isinstance(attention_mask, Tensor) or attention_mask.ndim != 2 or not bool(attention_mask.all()):
        raise UseError("a memory path takes whole sequences of equal length: no padding and no custom masks", _WHOLE)


def refuse_packing(position_ids: Tensor | None, tokens: int, kwargs: Mapping[str, Any]) -> None:
    """Refuses rows that hold several texts: the second would see the first.

    Args:
        position_ids: ``[B, T]``; they are to go on from the tokens read, one by one.
        tokens: read before.
        kwargs: all else that the decoder is called with.

    Raises:
        UseError: positions start anew, or leave some out.
    """
    packed = next((name for name in _PACKED if kwargs.get(name) is not None), None)
    if packed is not None:
        raise UseError(f"{packed} packs several texts into a row, and a memory would carry one into the next", _WHOLE)
    if position_ids is None:
        return
    if position_ids.ndim > 2:
        raise UseError("a memory path takes one position for each token, not several", "leave position_ids out")
    rows = position_ids.reshape(-1, position_ids.shape[-1])
    steady = bool((rows.diff(dim=-1) == 1).all())
    if not steady or (tokens and bool((rows[:, 0] != tokens).any())):
        raise UseError(
            "position_ids do not go on token by token: packed texts, or a gap; a memory would carry one into the next",
            f"{_WHOLE}; position_ids can be left out",
        )


def per_token(kwargs: Mapping[str, Any], shape: tuple[int, ...], reread: bool) -> list[str]:
    """Names of what has to be cut into segments as the tokens are.

    Args:
        kwargs: what the decoder is called with beside tokens.
        shape: ``[B, T]`` of the tokens.
        reread: whether a text's first segment is read twice.

    Raises:
        UseError: there is a tensor that nobody knows how to cut.
    """
    found = []
    for name, value in kwargs.items():
        if not isinstance(value, torch.Tensor) or not value.ndim:
            continue
        if tuple(value.shape[:2]) != shape or name.startswith("encoder_"):
            raise UseError(f"{name} cannot be cut into segments", "leave it out: a memory path reads tokens alone")
        if reread:
            raise UseError(f"{name} cannot be read again with the first segment", "leave it out")
        found.append(name)
    return found
