"""Training the reranker: which part of a text answers a question about it, among its others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..qa.reranker import Reranker
from .rollout import RolloutOutcome, quick_to_learn
from .tasks import BatchShape

# Drawn for a step, of one text: each question is scored with every passage.
QUESTIONS = 10
PASSAGES = 10
# Fewer say little about a text's other passages.
FEWEST_QUESTIONS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Choosable:
    """A text cut into passages, and questions about it; or what is drawn of it for a step.

    Attributes:
        passages: as the reranker reads them, token ids each.
        questions: likewise.
        right: ``[questions, passages]``, bool: whether the answer stands there; every question has such a passage.
        words: ``[questions, passages]``, float32: how well a search by words finds it.
    """

    passages: Sequence[Sequence[int]]
    questions: Sequence[Sequence[int]]
    right: Tensor
    words: Tensor

    @property
    def ids(self) -> Tensor:
        """All tokens that a reranker reads: each passage, and behind it every question."""
        asked = [token for question in self.questions for token in question]
        return torch.tensor([token for passage in self.passages for token in (*passage, *asked)])

    def to(self, device: torch.device) -> Choosable:
        """The same on a device."""
        return dataclasses.replace(self, right=self.right.to(device), words=self.words.to(device))


class PassageChoice:
    """Find the passage with the answer among the text's others, and among them those that words would find first.

    Args:
        texts: those with too few questions are left out.
    """

    name = "passage_choice"

    def __init__(self, texts: Sequence[Choosable]) -> None:
        self.texts = [text for text in texts if len(text.questions) >= FEWEST_QUESTIONS]

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Choosable]:
        text = self.texts[int(rng.integers(len(self.texts)))]
        count = len(text.questions)
        asked = rng.choice(count, min(QUESTIONS, count), replace=False)
        shown = {int(rng.choice(np.flatnonzero(text.right[question].numpy()))) for question in asked}
        others = [number for number in range(len(text.passages)) if number not in shown]
        # Some chance, so that passages which no question's words find are seen too.
        tempting = text.words[asked].numpy().max(0) + rng.random(len(text.passages))
        others.sort(key=lambda number: -tempting[number])
        numbers = [*sorted(shown), *others[: max(2, PASSAGES - len(shown))]]
        return [
            Choosable(
                [text.passages[number] for number in numbers],
                [text.questions[number] for number in asked],
                text.right[asked][:, numbers],
                text.words[asked][:, numbers],
            )
        ]


class RerankerRollout(nn.Module):
    """Scores passages, and learns: the loss is the surprise that a right passage is the best one.

    Args:
        reranker: what is trained.
    """

    def __init__(self, reranker: Reranker) -> None:
        super().__init__()
        self.reranker = reranker
        self.model = reranker.model

    def trained(self) -> dict[str, nn.Parameter]:
        """The reranker's weights; from here on they alone require gradients."""
        return self.reranker.trained()

    def forward(self, choices: Sequence[Choosable]) -> RolloutOutcome:
        """Outcome over all questions: see ``rollout.Learner``."""
        losses, hits = [], []
        for choice in choices:
            with quick_to_learn(self.model):
                scored = self.reranker(choice.passages, choice.questions)
            scores = scored + self.reranker.words * choice.words
            right = scores.masked_fill(~choice.right, -torch.inf).logsumexp(1)
            losses.append(scores.logsumexp(1) - right)
            hits.append(choice.right.gather(1, scores.argmax(1, keepdim=True))[:, 0])
        loss, hit = torch.cat(losses), torch.cat(hits)
        return RolloutOutcome(loss.mean(), hit.sum(), torch.tensor(len(hit)))
