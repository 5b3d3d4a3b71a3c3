"""Context distillation: the frozen base with everything in its own context teaches the same base with a memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from ..memory.inject import memory_off
from .segments import Segment


@torch.no_grad()
def teach(model: PreTrainedModel, segments: Sequence[Segment]) -> dict[int, Tensor]:
    """What the base expects at every labelled token of the segments to be distilled, with all segments in view.

    Args:
        model: the base with its memory path, which is switched off here.
        segments: a roll-out that fits into the base's context; where later ones have more rows, earlier rows repeat.

    Returns:
        By number of segment, the last hidden states ``[n, C]`` of its ``n`` labelled tokens, row after row. Logits are
        left to the caller, who needs those of one segment at a time.
    """
    last = max((number for number, segment in enumerate(segments) if segment.distil), default=-1)
    if last < 0:
        return {}
    rows = len(segments[last].ids)
    seen = [segment.ids.repeat_interleave(rows // len(segment.ids), 0) for segment in segments[: last + 1]]
    with memory_off(model):
        # A cache tells the base that nothing is packed into its rows; without one, it waits for the device to find out.
        cache = DynamicCache(config=model.config)
        hidden = model.get_decoder()(input_ids=torch.cat(seen, 1), past_key_values=cache).last_hidden_state
    states, start = {}, 0
    for number, segment in enumerate(segments[: last + 1]):
        end = start + segment.ids.shape[1]
        if segment.distil and (marks := segment.marked) is not None:
            own = hidden[:: rows // len(segment.ids), start:end]
            states[number] = own.flatten(0, 1).index_select(0, marks.places)
        start = end
    return states


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """``KL(teacher || student)`` of each token, in nats, ``[n]``.

    Args:
        teacher: logits ``[n, vocabulary]``, float32, without gradient.
        student: likewise, with one.
    """
    return F.kl_div(student.log_softmax(-1), teacher.log_softmax(-1), reduction="none", log_target=True).sum(-1)
