"""A register: the last token that mattered, as a part of keys and queries.

In "Ann walked all the way over to the mill" no n-gram reaches from the mill back to Ann, and a frozen base does not ask
memory for her when it is asked where Ann is. A register takes a token in as far as a learned gate opens for it, and keeps what
it has meanwhile, as a gated recurrent unit does (Cho et al. 2014, arXiv 1406.1078):
``r_t = (1 - i_t) r_{t-1} + i_t x_t``, with ``x_t`` the token's signs (see ``ngrams``). A gate that opens for names binds what
is said to who it is said of; a question that names them finds it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64


def hold(values: Tensor, logits: Tensor, before: Tensor | None = None) -> Tensor:
    """What a register holds after each token, computed exactly in chunks.

    Args:
        values: ``x``, ``[B, H, T, D]``, T at least 1.
        logits: of the gate, ``i = sigmoid(logits)``, ``[B, H, T]``.
        before: ``r_0``, ``[B, H, D]``; ``None`` stands for nothing.

    Returns:
        ``r``, ``[B, H, T, D]``, in the dtype of ``logits``.
    """
    tokens = values.shape[2]
    chunk = min(CHUNK, tokens)
    pad = -tokens % chunk
    values = F.pad(values.to(logits.dtype), (0, 0, 0, pad)).unflatten(2, (-1, chunk))
    # Padding is taken in, but no token before it knows.
    logits = F.pad(logits, (0, pad)).unflatten(2, (-1, chunk))
    kept = F.logsigmoid(-logits).cumsum(-1)
    taken = F.logsigmoid(logits)
    # Only what came earlier counts; the rest would overflow in exp, and in its gradient.
    since = (kept[..., :, None] - kept[..., None, :] + taken[..., None, :]).masked_fill(
        _later(chunk, logits), -torch.inf
    )
    own, left = since.exp() @ values, kept.exp()[..., None]
    held = values.new_zeros(values[:, :, 0, 0].shape) if before is None else before
    found = []
    for c in range(own.shape[2]):
        found.append(own[:, :, c] + left[:, :, c] * held[:, :, None])
        held = found[-1][:, :, -1]
    return torch.cat(found, 2)[:, :, :tokens]


def _later(size: int, like: Tensor) -> Tensor:
    """``[size, size]``, bool: whether the second token comes after the first."""
    return torch.ones(size, size, dtype=torch.bool, device=like.device).triu(1)
