"""Training the writer: notes on a part of a text that stands in the instruction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from .passage_reading import ReaderRollout
from .segments import Segment
from .tasks import BatchShape, question_segment


@dataclasses.dataclass(frozen=True, slots=True)
class Writable:
    """A part of a text that is to be told of.

    Attributes:
        instruction: with the part in it, token ids.
        notes: on the part, token ids each, with the end of the turn; at least one.
    """

    instruction: Sequence[int]
    notes: Sequence[Sequence[int]]


class Writing:
    """Tell what happens in a part of a text, all of it in view.

    Args:
        parts: of all texts.
    """

    name = "writing"

    def __init__(self, parts: Sequence[Writable]) -> None:
        self.parts = parts

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Segment]:
        """For each of the shape's batch a part, and all notes on it as rows behind it."""
        chosen = [self.parts[int(rng.integers(len(self.parts)))] for _ in range(shape.batch)]
        return [segment for part in chosen for segment in _rows(part)]


class WriterRollout(ReaderRollout):
    """Reads instructions and writes notes behind them with the writer in force and the memory off, and learns that."""


def _rows(part: Writable) -> list[Segment]:
    # A row has something to say its first token after.
    *view, last = part.instruction
    notes = [(torch.tensor([last]), torch.tensor(note)) for note in part.notes]
    return [Segment(torch.tensor([view])), question_segment(notes)]
