"""Token ids as they are given: checked before anything is read."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UseError

_HINT = "pass a list or a 1-D tensor of ids: tokenizer(text)['input_ids'], or one row of a batch, ids[0]"
_WHOLE = {torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64}


def token_ids(ids: Sequence[int] | Tensor, vocabulary: int) -> list[int]:
    """Plain token ids of one text.

    Args:
        ids: a sequence of whole numbers, or a ``[n]`` tensor of them.
        vocabulary: how many tokens the model knows.

    Raises:
        UseError: it is a text, a batch, a tokenizer's whole output, or holds what is no token of the model.
    """
    if hasattr(ids, "__array__"):
        ids = torch.as_tensor(ids)
    if isinstance(ids, Tensor):
        if ids.ndim != 1 or ids.dtype not in _WHOLE:
            raise UseError(f"a tensor {list(ids.shape)} of {ids.dtype} was given for the token ids of one text", _HINT)
        found = ids.tolist()
    elif isinstance(ids, (str, bytes)) or not isinstance(ids, Sequence):
        raise UseError(f"a {type(ids).__name__} was given for token ids", _HINT)
    else:
        try:
            found = array("q", ids).tolist()
        except (TypeError, OverflowError) as error:
            raise UseError(f"there is something else among the token ids: {error}", _HINT) from error
    if found and not 0 <= min(found) <= max(found) < vocabulary:
        odd = min(found) if min(found) < 0 else max(found)
        raise UseError(f"{odd} is no token of the model, which has {vocabulary:,}", "use the model's own tokenizer")
    return found
