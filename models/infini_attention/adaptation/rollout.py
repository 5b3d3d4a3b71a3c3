"""One training roll-out: consecutive segments through the base and its memories, and the loss on their labels."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..cache import InfiniCache
from ..inject import injection, memory_parameters, new_cache
from .distillation import divergence, teach
from .echoes import Echoes

IGNORED = -100
# A roll-out decides itself where its segments end, so that training can draw their length.
UNBOUNDED = 1 << 40


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a batch of sequences.

    Attributes:
        ids: ``[B, T]``, int64. A segment may have more rows than the one before it, a multiple of them: each memory is
            read by that many rows, in turn, such as several questions to one text.
        labels: ``[B, T]``, the token that should follow each; ``IGNORED`` where it does not matter. ``None``: nowhere.
        full: gradients flow through the whole network. Otherwise the network runs without them and only what the
            segment writes is learned, through the chain of memories that leads to later segments: about a third of the
            cost, so that roll-outs can be long.
        echoes: numbers of segments, this one or earlier ones, that are written again after it, in this order: what a
            long text does to a memory, at the cost of a few small products (``deltanet`` only).
        times: how often the echoes come.
        distil: the loss is the divergence from what the frozen base expects with all segments before in its context,
            not the surprise at the labels (see ``distillation``).
    """

    ids: Tensor
    labels: Tensor | None = None
    full: bool = True
    echoes: tuple[int, ...] = ()
    times: int = 1
    distil: bool = False

    def to(self, device: torch.device) -> Segment:
        """The same segment on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return dataclasses.replace(self, ids=self.ids.to(device), labels=labels)

    @property
    def labelled(self) -> Tensor | None:
        """``[B, T]``, bool: which tokens count; ``None``: none."""
        return None if self.labels is None else self.labels != IGNORED


class Outcome(NamedTuple):
    """Result of a roll-out: mean loss in nats a labelled token (differentiable), and the labels' hits."""

    loss: Tensor
    correct: Tensor
    labelled: Tensor


class Rollout(nn.Module):
    """The trained module: its forward is a whole roll-out, so that it can be wrapped for several devices.

    Args:
        model: a language model with a memory path; only the memory path is to require gradients.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, segments: list[Segment]) -> Outcome:
        """Runs the segments in order, with an empty memory before the first.

        Raises:
            ValueError: no segment has a label.
        """
        taught = teach(self.model, segments)
        cache = training_cache(self.model)
        echoes = Echoes(cache, {number for segment in segments for number in segment.echoes})
        total: Tensor | None = None
        correct, labelled, rows = torch.zeros((), dtype=torch.long), 0, 0
        for number, segment in enumerate(segments):
            for layer in cache.memories.values():
                layer.learn_writes = not segment.full and torch.is_grad_enabled()
            if number and len(segment.ids) > rows:
                cache.batch_repeat_interleave(len(segment.ids) // rows)
            rows = len(segment.ids)
            with torch.set_grad_enabled(torch.is_grad_enabled() and segment.full):
                hidden = self.model.get_decoder()(input_ids=segment.ids, past_key_values=cache).last_hidden_state
            if segment.labels is not None:
                wanted = segment.labelled
                head = self.model.get_output_embeddings()
                logits = head(hidden[wanted]).float()
                labels = segment.labels[wanted]
                if segment.distil:
                    with torch.no_grad():
                        expected = head(taught[number]).float()
                    loss = divergence(expected, logits)
                else:
                    loss = F.cross_entropy(logits, labels, reduction="sum")
                total = loss if total is None else total + loss
                correct = correct.to(labels.device) + (logits.detach().argmax(-1) == labels).sum()
                labelled += labels.numel()
            if number + 1 < len(segments):
                echoes.note(number)
                cache.close_segment()
                echoes.replay(segment.echoes, segment.times)
        if total is None or not labelled:
            raise ValueError("a roll-out needs a label somewhere")
        return Outcome(total / labelled, correct, torch.tensor(labelled, device=correct.device))


def trained_parameters(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """The memory path's parameters, by adapter name; from here on they alone require gradients."""
    parameters = memory_parameters(model)
    model.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    return parameters


def training_cache(model: PreTrainedModel) -> InfiniCache:
    """An empty cache whose segments end only when they are told to."""
    cache = new_cache(model)
    record = injection(model)
    assert record is not None
    cache.config = dataclasses.replace(record.config, segment_length=UNBOUNDED)
    return cache
