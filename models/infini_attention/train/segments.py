"""What a roll-out of the memory path reads: segments, and which of their tokens are learned."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor

IGNORED = -100


class Marks(NamedTuple):
    """The labelled tokens of a segment: their places in its rows, one after the other, ``[n]``, and their labels, ``[n]``.

    A place with the label ``IGNORED`` does not count.
    """

    places: Tensor
    labels: Tensor


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a batch of sequences.

    Attributes:
        ids: ``[B, T]``, int64. A segment may have more rows than the one before it, a multiple of them: each memory is
            read by that many rows, in turn, such as several questions to one text.
        labels: ``[B, T]``, the token that should follow each; ``IGNORED`` where it does not matter. ``None``: nowhere.
        backprop: gradients flow through the whole network. Otherwise the network runs without them and only what the
            segment writes is learned, through the chain of memories that leads to later segments: about a third of the
            cost, so that roll-outs can be long.
        replayed: numbers of segments, this one or earlier ones, that are written again after it, in this order: what a
            long text does to a memory, at the cost of a few small products (``deltanet`` only).
        times: how often they come again; a tensor need not be known beforehand (see ``Transition.times``).
        distil: the loss is the divergence from what the frozen base expects with all segments before in its context,
            not the surprise at the labels (see ``distillation``).
        marks: what ``marked`` gives, where that is known already.
    """

    ids: Tensor
    labels: Tensor | None = None
    backprop: bool = True
    replayed: tuple[int, ...] = ()
    times: int | Tensor = 1
    distil: bool = False
    marks: Marks | None = None

    def to(self, device: torch.device) -> Segment:
        """The same segment on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        # Counted here: an accelerator would have to be waited for.
        marks = self.marked
        marks = None if marks is None else Marks(*(tensor.to(device) for tensor in marks))
        return dataclasses.replace(self, ids=self.ids.to(device), labels=labels, marks=marks)

    @property
    def marked(self) -> Marks | None:
        """Which tokens count; ``None``: none."""
        if self.marks is not None or self.labels is None:
            return self.marks
        labels = self.labels.flatten()
        places = (labels != IGNORED).nonzero().flatten()
        return Marks(places, labels[places])
