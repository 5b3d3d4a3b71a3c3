"""Training tasks: each draws a batch of roll-outs of a planned shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..data.corpus import Corpus
from ..data.passkey import Passkey
from .rollout import Part
from .segments import IGNORED, Segment


@dataclasses.dataclass(frozen=True, slots=True)
class BatchShape:
    """Shape of a batch.

    Attributes:
        batch: sequences.
        segments: segments of each.
        length: tokens of a segment.
        backprop_segments: how many last segments learn through the whole network.
        replayed_segments: how many more segments of hay may come before a key and after it.
        bucket: roll-outs of one bucket have one shape, whatever is drawn into them; ``None``: each has a shape of its own.
    """

    batch: int
    segments: int
    length: int
    backprop_segments: int
    replayed_segments: int = 0
    bucket: int | None = None

    def shapes(self, rng: np.random.Generator) -> np.random.Generator:
        """Draws what decides about a roll-out's shape; ``rng`` draws the rest."""
        return rng if self.bucket is None else np.random.default_rng([7, self.bucket])


class TrainingTask(Protocol):
    """Something to learn."""

    name: str

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> Sequence[Part]:
        """Draws a batch of roll-outs, in segments, or what else its learner takes."""


class LanguageModelling:
    """Predict every token of the segments that a memory stands behind, in consecutive segments of long texts.

    Args:
        corpus: the texts.
    """

    name = "language_modelling"
    distil = False

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Segment]:
        count, length = shape.segments, shape.length
        window = torch.stack([self.corpus.window(count * length + 1, rng) for _ in range(shape.batch)])
        segments = []
        for s in range(count):
            # The first segment has no memory behind it: its loss is the base's, and nothing can change it.
            labelled = s >= max(1, count - shape.backprop_segments)
            stretch = window[:, s * length : (s + 1) * length + 1]
            labels = stretch[:, 1:] if labelled else None
            segments.append(Segment(stretch[:, :-1], labels, backprop=labelled, distil=labelled and self.distil))
        return segments


class ContextDistillation(LanguageModelling):
    """The same texts, learned from the base that has all segments in its context; these must fit into it."""

    name = "context_distillation"
    distil = True


def draw_hay(passkey: Passkey, corpus: Corpus | None, length: int, rng: np.random.Generator) -> Tensor:
    """``length`` tokens of a text, or of the filler from anywhere in it."""
    if corpus is not None:
        return corpus.window(length, rng)
    return passkey.filler(length, offset=int(rng.integers(len(passkey.filler_ids))))


def question_segment(turns: Iterable[tuple[Tensor, Tensor]]) -> Segment:
    """A row for each prompt with its answer, which alone is learned; shorter rows are padded at their end."""
    rows, labels = zip(*(with_answer(prompt, answer) for prompt, answer in turns), strict=True)
    return Segment(
        pad_sequence([row[:-1] for row in rows], batch_first=True),
        pad_sequence([label[1:] for label in labels], batch_first=True, padding_value=IGNORED),
    )


def with_answer(prompt: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
    """A prompt and its answer as one row, and the row's tokens to be learned: those of the answer alone."""
    return torch.cat([prompt, answer]), torch.cat([torch.full((len(prompt),), IGNORED), answer])
