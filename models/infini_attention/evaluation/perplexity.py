"""What memory is worth on running text: the loss on a last segment, by what stands behind it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adaptation.rollout import training_cache
from ..cache import InfiniCache
from ..inject import memory_off
from ..loading import Loaded


@dataclasses.dataclass(frozen=True, slots=True)
class LastSegment:
    """Mean loss on the last segment, nats a token.

    Attributes:
        alone: the segment by itself.
        own: with the memory of the segments before it.
        other: with the memory of another text's segments.
        full: plain attention of the base over all segments.
        tokens: tokens scored.
    """

    alone: float
    own: float
    other: float
    full: float
    tokens: int

    def perplexities(self) -> dict[str, float]:
        """exp of each loss."""
        return {name: math.exp(getattr(self, name)) for name in ("alone", "own", "other", "full")}


@torch.inference_mode()
def last_segment(loaded: Loaded, windows: Sequence[Tensor], segments: int, length: int) -> LastSegment:
    """Scores the last segment of each window in four ways.

    Args:
        loaded: the model.
        windows: at least two stretches of ``segments * length + 1`` token ids, neighbours of different texts: each
            lends its memory to the one before it.
        segments: segments in a window.
        length: tokens of a segment.
    """
    device = loaded.placement.device
    rows = [window.to(device)[None] for window in windows]
    memories = [_read(loaded, row[:, : (segments - 1) * length], length) for row in rows]
    sums = dict.fromkeys(("alone", "own", "other", "full"), 0.0)
    for number, row in enumerate(rows):
        last, labels = row[:, (segments - 1) * length : -1], row[0, (segments - 1) * length + 1 :]
        with memory_off(loaded.model):
            sums["alone"] += _loss(loaded, last, labels, None)
            sums["full"] += _loss(loaded, row[:, :-1], labels, None)
        sums["own"] += _loss(loaded, last, labels, memories[number])
        sums["other"] += _loss(loaded, last, labels, memories[(number + 1) % len(memories)])
    total = length * len(rows)
    return LastSegment(**{name: value / total for name, value in sums.items()}, tokens=total)


def _read(loaded: Loaded, ids: Tensor, length: int) -> InfiniCache:
    cache = training_cache(loaded.model)
    for segment in ids.split(length, 1):
        loaded.model.get_decoder()(input_ids=segment, past_key_values=cache)
        cache.close_segment()
    return cache


def _loss(loaded: Loaded, ids: Tensor, labels: Tensor, memory: InfiniCache | None) -> float:
    cache = None if memory is None else memory.fork()
    logits = loaded.model(input_ids=ids, past_key_values=cache, logits_to_keep=len(labels)).logits[0]
    return float(F.cross_entropy(logits.float(), labels, reduction="sum"))
