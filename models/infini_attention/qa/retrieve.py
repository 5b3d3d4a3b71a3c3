"""From a question to the passages that an answer is to rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..text.kept import KeptText
from ..text.passages import Passage, passages
from ..text.search import Hit, Search, nearest_cells
from .found import Found
from .refuse import support

if TYPE_CHECKING:
    from .. import Loaded
    from .reranker import Reranker

# What a nat of evidence weighs beside a point of the search, for a model without a reranker. Over 40 questions on stories
# (FairytaleQA's training split) the best passage was of the right section for 55% with the search alone, 70% with this
# weight, 68% with evidence alone; for 83% one of the best three was.
EVIDENCE_WEIGHT = 0.2


class Retriever:
    """The text of what was read, ready to be searched.

    Args:
        loaded: The model that judges passages.
        texts: The text of each source.
        reranker: The model's reranker; without one, how likely they make a question decides.
    """

    def __init__(self, loaded: Loaded, texts: Sequence[KeptText], reranker: Reranker | None = None) -> None:
        self.loaded, self.texts, self.reranker = loaded, texts, reranker
        self.settings = loaded.recipe.answers
        self.passages = passages(texts, self.settings.passage_words)
        self.search = Search(self.passages)
        self._ids: dict[Passage, list[int]] = {}

    def find(self, question: str, room: int, *, by_words: bool = False, enough: float = math.inf) -> list[Found]:
        """The passages that speak most for a question, the best one first.

        Most questions of a text are borne out by the first of them; to ask the others for evidence takes a second.

        Where no passage shares a word with the question, they are those at the text's beginning: it tells what a text is
        about.

        Args:
            question: As the person put it.
            room: Tokens that passages may fill together.
            by_words: By the search alone; nothing is read again to judge it.
            enough: Support (see `refuse.support`) of the first passage for which the others' evidence is left out.
        """
        hits = self.search.find(question, self.settings.candidates) or [
            Hit(one, 0.0) for one in self.passages[: self.settings.in_view]
        ]
        found = [Found(hit.passage, hit.score, None) for hit in hits]
        if by_words or self.settings.by_words:
            return self._fitting(found, room)
        question_ids = asked(self.loaded, question)
        most = min(room, self.loaded.config.segment_length - len(question_ids))
        found = [one for one in found if len(self.ids(one.passage)) <= most]
        if not found:
            return []
        if found[0].passage.cells:
            # What judges passages was trained on stories. Words tell the rows of a table, and its cells, apart.
            row = nearest_cells(found[0].passage, question, self.search.language)
            return self._with_evidence([replace(found[0], passage=row)], question_ids)
        if self.reranker is None:
            found = self._with_evidence(found, question_ids)
            found.sort(key=lambda one: one.words + EVIDENCE_WEIGHT * (one.evidence or 0.0), reverse=True)
            return self._fitting(found, room)
        found = self._fitting(self._reranked(found, question_ids), room)
        first, others = self._with_evidence(found[:1], question_ids), found[1:]
        if others and support(question, first) < enough:
            others = self._with_evidence(others, question_ids)
        return first + others

    def _reranked(self, found: Sequence[Found], question: list[int]) -> list[Found]:
        """The one that tells most first."""
        import torch

        assert self.reranker is not None
        with torch.inference_mode():
            (judgements,) = self.reranker([self.ids(one.passage) for one in found], [question]).tolist()
        weight = float(self.reranker.words)
        judged = [replace(one, judged=score) for one, score in zip(found, judgements, strict=True)]
        return sorted(judged, key=lambda one: (one.judged or 0.0) + weight * one.words, reverse=True)

    def _with_evidence(self, found: Sequence[Found], question: list[int]) -> list[Found]:
        from .evidence import log_likelihoods

        # Told by the base alone: what memory knows already must not speak against the passage that it knows it from.
        reader = self.loaded.engine(use_memory=False)
        # A blank line before the question stands for "nothing read again".
        views = [self.loaded.encode("\n\n"), *(self.ids(one.passage) for one in found)]
        scores = log_likelihoods(reader, [[*view, *question] for view in views], len(question))
        gains = (scores[1:] - scores[0]).tolist()
        return [replace(one, evidence=gain) for one, gain in zip(found, gains, strict=True)]

    def _fitting(self, found: Sequence[Found], room: int) -> list[Found]:
        """The first that fit into a room together."""
        chosen: list[Found] = []
        for one in found:
            size = len(self.ids(one.passage))
            if len(chosen) < self.settings.in_view and size <= room:
                chosen.append(one)
                room -= size
        return chosen

    def ids(self, passage: Passage) -> list[int]:
        """Token ids of a passage, as the model reads it again."""
        if passage not in self._ids:
            self._ids[passage] = read_again(self.loaded, passage)
        return self._ids[passage]

    @staticmethod
    def ordered(found: Sequence[Found]) -> list[Found]:
        """The passages in reading order."""
        return sorted(found, key=lambda one: one.passage.number)

    def view(self, found: Sequence[Found]) -> list[int]:
        """Token ids of the passages as they are read again: in reading order."""
        return [token for one in self.ordered(found) for token in self.ids(one.passage)]


def read_again(loaded: Loaded, passage: Passage) -> list[int]:
    """Token ids of a passage, as a model reads it again."""
    return loaded.encode(passage.told + "\n\n")


def asked(loaded: Loaded, question: str) -> list[int]:
    """Token ids of a question, as passages are judged by it."""
    return loaded.encode(f"Question: {question}")
