"""Training the reader: questions answered from the passages that a search would put before them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from ..changes import LowRankChanges
from ..inject import memory_off
from .questions import AskedTurn, any_answer
from .rollout import Outcome, Segment, Tally, attention_to_learn, only_trained
from .tasks import Plan, question_segment

# Passages in view: one with the answer to the first question, and those that words would find for it.
PASSAGES = 4
# Questions of a step and process: all that these passages answer, up to so many.
QUESTIONS = 8


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


class Reading:
    """Answer questions about a text with passages of it in view, one of which has the answer.

    Args:
        texts: those without a question are left out.
    """

    name = "reading"

    def __init__(self, texts: Sequence[Readable]) -> None:
        self.texts = [text for text in texts if text.turns]

    def sample(self, plan: Plan, rng: np.random.Generator) -> list[Segment]:
        """Passages of a text, and the questions that they answer as rows; both stand in one segment.

        The plan's shape does not matter.
        """
        text = self.texts[int(rng.integers(len(self.texts)))]
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
    """Reads passages and answers questions with the reader in force and the memory off.

    Args:
        reader: what is trained.
    """

    def __init__(self, reader: LowRankChanges) -> None:
        super().__init__()
        self.reader = reader
        self.model = reader.model

    def trained(self) -> dict[str, nn.Parameter]:
        """The reader's weights; from here on they alone require gradients."""
        return only_trained(self, dict(self.reader.named_parameters()))

    def forward(self, segments: Sequence[Segment]) -> Outcome:
        """Outcome over all answers: see ``rollout.Learner``."""
        view, asked = segments
        decoder, cache = self.model.get_decoder(), DynamicCache()
        with self.reader.in_force(), memory_off(self.model), attention_to_learn(self.model.device):
            decoder(input_ids=view.ids, past_key_values=cache, use_cache=True)
            cache.batch_repeat_interleave(len(asked.ids))
            hidden = decoder(input_ids=asked.ids, past_key_values=cache, use_cache=True).last_hidden_state
        tally = Tally(self.model.get_output_embeddings())
        tally.add(asked, hidden)
        return tally.outcome()
