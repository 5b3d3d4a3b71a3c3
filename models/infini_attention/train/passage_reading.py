"""Training the reader: questions answered from the passages that a search would put before them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from ..data.corpus import Corpus
from ..errors import InfiniError
from ..memory.inject import memory_off
from ..model.adapters import LoraAdapter
from .questions import AskedTurn, any_answer
from .rollout import LossTally, RolloutOutcome, quick_to_learn
from .segments import Segment
from .tasks import BatchShape, question_segment

# Passages in view: one with the answer to the first question, and those that words would find for it.
PASSAGES = 4
# Questions to a text: all that these passages answer, up to so many.
QUESTIONS = 8
# Tokens of a text that is asked for its numbers, and how many such texts are looked through for one at most.
NUMBERED_TOKENS = 2_500
TRIES = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Readable:
    """A text cut into passages, and questions about it.

    Attributes:
        passages: as the model reads them again, token ids each.
        turns: the questions, with their answers.
        right: ``[turns, passages]``, bool: whether the answer stands there; every question has such a passage.
        words: ``[turns, passages]``, float32: how well a search by words finds it.
    """

    passages: Sequence[Sequence[int]]
    turns: Sequence[AskedTurn]
    right: Tensor
    words: Tensor


class PassageReading:
    """Answer questions about a text with passages of it in view, one of which has the answer.

    Args:
        texts: those without a question are left out.
    """

    name = "reading"

    def __init__(self, texts: Sequence[Readable]) -> None:
        self.texts = [text for text in texts if text.turns]

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Segment]:
        """For each of the shape's batch a text: see ``draw``."""
        texts = [self.texts[int(rng.integers(len(self.texts)))] for _ in range(shape.batch)]
        return [part for text in texts for part in draw(text, rng)]


class ReadingNumbers:
    """The same with long texts, asked for the numbers in them.

    Args:
        corpus: the texts.
        cut: token ids of a stretch to its passages, with questions that it draws.
    """

    name = "numbers"

    def __init__(self, corpus: Corpus, cut: Callable[[Tensor, np.random.Generator], Readable]) -> None:
        self.corpus, self.cut = corpus, cut

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Segment]:
        """For each of the shape's batch a text: see ``draw``.

        Raises:
            InfiniError: no numbers are found.
        """
        return [part for _ in range(shape.batch) for part in draw(self._text(rng), rng)]

    def _text(self, rng: np.random.Generator) -> Readable:
        for _ in range(TRIES):
            text = self.cut(self.corpus.window(NUMBERED_TOKENS, rng), rng)
            if text.turns:
                return text
        raise InfiniError("the texts of --data tell no numbers", f"leave the task {self.name} out of the shape")


def draw(text: Readable, rng: np.random.Generator) -> list[Segment]:
    """Passages of a text, and the questions that they answer as rows that stand behind them."""
    first = int(rng.integers(len(text.turns)))
    shown = [int(rng.choice(np.flatnonzero(text.right[first].numpy())))]
    # Some chance, so that not only what is easily mistaken for the right one is seen beside it.
    tempting = text.words[first].numpy() + rng.random(len(text.passages))
    tempting[shown] = -np.inf
    shown += np.argsort(-tempting)[: min(PASSAGES, len(text.passages)) - 1].tolist()
    shown.sort()
    answered = text.right[:, shown].any(1)
    answered[first] = False
    others = rng.permutation(np.flatnonzero(answered.numpy()))[: QUESTIONS - 1]
    turns = [text.turns[number] for number in (first, *others.tolist())]
    view = Segment(torch.tensor([[token for number in shown for token in text.passages[number]]]))
    asked = [(torch.tensor(turn.instruction), torch.tensor(any_answer(turn.answers, rng))) for turn in turns]
    return [view, question_segment(asked)]


class ReaderRollout(nn.Module):
    """Reads passages and questions behind them with the reader in force and the memory off, and learns that.

    Args:
        reader: what is trained.
    """

    def __init__(self, reader: LoraAdapter) -> None:
        super().__init__()
        self.reader = reader
        self.model = reader.model

    def trained(self) -> dict[str, nn.Parameter]:
        """The reader's weights; from here on they alone require gradients."""
        return self.reader.trained()

    def forward(self, segments: Sequence[Segment]) -> RolloutOutcome:
        """Outcome over all answers: see ``rollout.Learner``."""
        decoder, tally = self.model.get_decoder(), LossTally(self.model.get_output_embeddings())
        with self.reader.in_force(), memory_off(self.model), quick_to_learn(self.model):
            for view, asked in zip(segments[::2], segments[1::2], strict=True):
                cache = DynamicCache()
                decoder(input_ids=view.ids, past_key_values=cache, use_cache=True)
                cache.batch_repeat_interleave(len(asked.ids))
                tally.add(asked, decoder(input_ids=asked.ids, past_key_values=cache, use_cache=True).last_hidden_state)
        return tally.outcome()
