"""How far each attention head uses its memory: the paper's Figure 3, for both gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..memory.parameters import memory_paths
from ..memory.path import MemoryPath
from ..model.loading import Loaded


def gate_scores(loaded: Loaded) -> Tensor:
    """sigmoid of each head's gate bias (the paper's gating score).

    Returns:
        ``[layers, query heads]``, float32, layers with a memory only. A ``residual`` gate also depends on the token:
        see ``usage``.
    """
    paths = memory_paths(loaded.model)
    return torch.stack([path.gate_bias.detach().sigmoid().float().cpu() for path in paths.values()])


@torch.inference_mode()
def usage(loaded: Loaded, ids: Sequence[int]) -> Tensor:
    """The memory's share in what each head puts out, over a text.

    A head's output is what local attention gives and what the memory adds; the share is the norm of the latter over
    the sum of both norms, mean over all tokens with a memory behind them. 0 is a head that never uses its memory.

    Args:
        loaded: the model.
        ids: token ids of the text, more than a segment.

    Returns:
        ``[layers, query heads]``, float32, layers with a memory only.

    Raises:
        ValueError: the text has no second segment.
    """
    length = loaded.config.segment_length
    if len(ids) <= length:
        raise ValueError(f"a text of {len(ids)} tokens has no second segment of {length}")
    paths = memory_paths(loaded.model)
    meters = {index: _Meter(path) for index, path in paths.items()}
    try:
        engine = loaded.engine()
        for start in range(0, len(ids), length):
            engine.step(torch.tensor([ids[start : start + length]]))
    finally:
        for meter in meters.values():
            meter.handle.remove()
    return torch.stack([meter.sum / meter.tokens for meter in meters.values()])


class _Meter:
    """Adds up a path's shares as it is used."""

    def __init__(self, path: MemoryPath) -> None:
        self.sum, self.tokens = torch.zeros(path.shape.query_heads), 0
        self.handle = path.register_forward_hook(self._note)

    def _note(self, path: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        _, local, layer = args
        if layer.memory is None:
            return
        before, added = local.float().norm(dim=-1), (output.float() - local.float()).norm(dim=-1)
        share = added / (added + before).clamp_min(torch.finfo(torch.float32).tiny)
        self.sum += share.sum((0, 1)).cpu()
        self.tokens += share.shape[0] * share.shape[1]
