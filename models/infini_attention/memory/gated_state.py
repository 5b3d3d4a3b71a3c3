"""A gated state: the last token that mattered, as a part of keys and queries, or of values.

In "Ann walked all the way over to the mill" no n-gram reaches from the mill back to Ann, and a frozen base does not ask
memory for her when it is asked where Ann is. A gated state takes a token in as far as a learned gate opens for it, and keeps what
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
    """What a gated state holds after each token, computed exactly in chunks.

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
    values = values.to(logits.dtype)
    if pad:
        # Padding is taken in, but no token before it knows.
        values, logits = F.pad(values, (0, 0, 0, pad)), F.pad(logits, (0, pad))
    values, logits = values.unflatten(2, (-1, chunk)), logits.unflatten(2, (-1, chunk))
    own, left = _held(values, F.logsigmoid(logits), F.logsigmoid(-logits))
    # What a chunk holds at its end, of its own tokens alone, is in its turn what a state of chunks takes in.
    first = torch.zeros_like(own[:, :, :1, -1]) if before is None else before[:, :, None].to(own.dtype)
    earlier = first
    if own.shape[2] > 1:
        taken, kept = own[:, :, :-1, -1], left[:, :, :-1, -1]
        ends, kept = _held(taken, None, kept)
        if before is not None:
            ends = ends + kept.exp()[..., None] * first
        earlier = torch.cat([first, ends], 2)
    found = own + left.exp()[..., None] * earlier[..., None, :]
    return found.flatten(2, 3)[:, :, :tokens]


def held_before_and_after(values: Tensor, logits: Tensor, before: Tensor | None = None) -> Tensor:
    """``[B, H, T + 1, D]``: what a gated state holds before the first token and after each. Arguments as for ``hold``."""
    first = values.new_zeros(values[:, :, 0].shape, dtype=logits.dtype) if before is None else before
    return torch.cat([first[:, :, None], hold(values, logits, first)], 2)


def _held(values: Tensor, taken: Tensor | None, kept: Tensor) -> tuple[Tensor, Tensor]:
    """One chunk, or many side by side: what a state that was empty before it holds after each value.

    Args:
        values: ``[..., T, D]``.
        taken: logarithm of the share of each value that is taken in, ``[..., T]``; ``None`` where that is all of it.
        kept: logarithm of the share that each leaves of what was held before it, likewise.

    Returns:
        What is held, ``[..., T, D]``, and the logarithm of what is left of anything held before, ``[..., T]``.
    """
    left = kept.cumsum(-1)
    since = left[..., :, None] - left[..., None, :]
    if taken is not None:
        since = since + taken[..., None, :]
    # Only what came earlier counts; the rest would overflow in exp, and in its gradient.
    return since.tril().exp().tril() @ values, left
