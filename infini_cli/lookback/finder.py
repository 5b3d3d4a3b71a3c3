"""From a question to the passages that an answer is to rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infini_cli.lookback.kept import KeptText
from infini_cli.lookback.passages import Passage, passages
from infini_cli.lookback.search import Search

if TYPE_CHECKING:
    from infini_attention import Loaded

# Passages that are read again to see what they say for the question, and those that stay in view for the answer.
CANDIDATES = 12
CHOSEN = 4
# What a nat of evidence weighs beside a point of the search. Over 40 questions on stories (FairytaleQA's training split)
# the best passage was of the right section for 55% with the search alone, 70% with this weight, 68% with evidence alone;
# for 83% one of the best three was.
EVIDENCE_WEIGHT = 0.2


@dataclass(frozen=True)
class Found:
    """A passage that speaks for a question.

    Attributes:
        passage: The passage.
        words: How well its words match, as `Search` scores it.
        evidence: How many nats likelier the question is once the passage is read again.
    """

    passage: Passage
    words: float
    evidence: float

    @property
    def score(self) -> float:
        """Both together."""
        return self.words + EVIDENCE_WEIGHT * self.evidence


class LookBack:
    """The text of what was read, ready to be searched.

    Args:
        loaded: The model that judges passages.
        texts: The text of each source.
    """

    def __init__(self, loaded: Loaded, texts: Sequence[KeptText]) -> None:
        self.loaded, self.texts = loaded, texts
        self.search = Search(passages(texts))

    def find(self, question: str, room: int) -> list[Found]:
        """The passages that speak most for a question, the best one first.

        Args:
            question: As the person put it.
            room: Tokens that passages may fill together.
        """
        from infini_attention.evidence import log_likelihoods

        asked = self.loaded.encode(f"Question: {question}")
        hits = {hit.passage: hit.score for hit in self.search.find(question, CANDIDATES)}
        most = min(room, self.loaded.config.segment_length - len(asked))
        views = {passage: ids for passage in hits if len(ids := self.ids(passage)) <= most}
        if not views:
            return []
        # Judged by the base alone: what memory knows already must not speak against the passage that it knows it from.
        judge = self.loaded.engine(use_memory=False)
        # A blank line before the question stands for "nothing read again".
        nothing = self.loaded.encode("\n\n")
        scores = log_likelihoods(judge, [[*ids, *asked] for ids in (nothing, *views.values())], len(asked))
        gains = (scores[1:] - scores[0]).tolist()
        found = [Found(passage, hits[passage], gain) for passage, gain in zip(views, gains, strict=True)]
        return self._fitting(sorted(found, key=lambda one: one.score, reverse=True), room)

    def find_by_words(self, question: str, room: int) -> list[Found]:
        """The same by the search alone; nothing is read again to judge it."""
        hits = self.search.find(question, CANDIDATES)
        return self._fitting([Found(hit.passage, hit.score, 0.0) for hit in hits], room)

    def _fitting(self, found: Sequence[Found], room: int) -> list[Found]:
        chosen: list[Found] = []
        for one in found:
            size = len(self.ids(one.passage))
            if len(chosen) < CHOSEN and size <= room:
                chosen.append(one)
                room -= size
        return chosen

    def ids(self, passage: Passage) -> list[int]:
        """Token ids of a passage, as the model reads it again."""
        return self.loaded.encode(passage.text + "\n\n")

    @staticmethod
    def ordered(found: Sequence[Found]) -> list[Found]:
        """The passages in reading order."""
        return sorted(found, key=lambda one: one.passage.number)

    def view(self, found: Sequence[Found]) -> list[int]:
        """Token ids of the passages as they are read again: in reading order."""
        return [token for one in self.ordered(found) for token in self.ids(one.passage)]
