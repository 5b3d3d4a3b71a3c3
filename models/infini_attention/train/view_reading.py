"""Training a reader that has many passages in view: those that a search finds for several questions, right and wrong."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..data.stories import Question, Story
from ..evaluate.question_answering import stands_in
from ..model.loading import Loaded
from ..qa.evidence import REFUSAL
from ..qa.passages_turn import passages_turn
from ..text.kept import KeptText
from ..text.passages import Passage, passages
from ..text.search import Search, stems
from .questions import answered, any_answer
from .segments import Segment
from .tasks import BatchShape, question_segment

# Questions that passages are found for, and questions that these passages answer, to a view at most.
FOUND_FOR, QUESTIONS = 3, 8
# How often a question about another text is asked too, which is to be refused.
FOREIGN = 0.5
# Of an answer's words that the question has not, the share that has to stand in view where nothing else tells that it does.
TOLD = 0.6
# Passages in view while it is trained, at most: more of them cost more, and teach the same.
MOST_PASSAGES = 4
# Texts that stay cut, and views that are tried for one with a question.
CUT_TEXTS, TRIES = 512, 20


class _Cut(NamedTuple):
    passages: list[Passage]
    search: Search
    stems: list[set[str]]
    # The places of the passages of each question's evidence, where that is known.
    right: dict[Question, list[int]]


class ViewReading:
    """Answer questions with passages of a text in view, as `ask` puts them.

    The passages in view are those that the search finds for one to three questions, and one that tells each answer: of the
    evidence, where that is known; otherwise one that the search finds for question and answer. A question is asked if its
    answer's words are in view. A text is drawn the more often the more questions it has.

    Args:
        loaded: whose tokenizer, chat template and settings to use.
        stories: those without a question are left out.
    """

    name = "views"

    def __init__(self, loaded: Loaded, stories: Sequence[Story]) -> None:
        self.loaded = loaded
        self.texts = [story for story in stories if story.questions]
        counts = np.array([len(story.questions) for story in self.texts])
        self.weights = counts / counts.sum()
        self._cut = functools.lru_cache(CUT_TEXTS)(self._cut_anew)

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Segment]:
        """For each of the shape's batch a view, and behind it its questions as rows."""
        return [part for _ in range(shape.batch) for part in self._view(rng)]

    def _view(self, rng: np.random.Generator) -> list[Segment]:
        for _ in range(TRIES):
            number = int(rng.choice(len(self.texts), p=self.weights))
            shown, asked = self._shown(number, rng)
            if asked:
                break
        else:
            raise ValueError(f"none of {TRIES} views told an answer")
        text = "\n\n".join(self._cut(number).passages[place].told for place in shown)
        rows = []
        for question in asked:
            before, after = passages_turn(self.loaded, text, question.question)
            answers = [answered(self.loaded, answer.strip()) for answer in question.answers]
            rows.append((torch.tensor(after), torch.tensor(any_answer(answers, rng))))
        return [Segment(torch.tensor([before])), question_segment(rows)]

    def _shown(self, number: int, rng: np.random.Generator) -> tuple[list[int], list[Question]]:
        """The places of the passages in view, in reading order, and the questions to ask."""
        cut, own = self._cut(number), self.texts[number].questions
        room = int(rng.integers(2, MOST_PASSAGES + 1))
        wanted = [own[int(place)] for place in rng.permutation(len(own))[: int(rng.integers(1, FOUND_FOR + 1))]]
        shown: dict[int, None] = {}
        for question in wanted:
            shown[self._telling(cut, question)] = None
        # Some chance, so that not only what is easily mistaken for the right one is seen beside it.
        found = [
            np.argsort(-np.asarray(cut.search.scores(q.question)) * (1 + rng.random(len(cut.passages)))) for q in wanted
        ]
        for rank in range(min(room, len(cut.passages))):
            for order in found:
                if len(shown) < room:
                    shown[int(order[rank])] = None
        places = sorted(shown)
        asked = [question for question in own if question in wanted or question.evidence]
        told = [question for question in asked if self._is_told(cut, places, question)]
        told.sort(key=lambda question: question not in wanted)
        asked = told[:QUESTIONS]
        if asked and len(self.texts) > 1 and rng.random() < FOREIGN:
            others = self.texts[(number + int(rng.integers(1, len(self.texts)))) % len(self.texts)].questions
            asked.append(Question(others[int(rng.integers(len(others)))].question, (REFUSAL,)))
        return places, asked

    def _telling(self, cut: _Cut, question: Question) -> int:
        """The place of a passage that seems to tell the answer."""
        scores = np.asarray(cut.search.scores(f"{question.question} {' '.join(question.answers)}"))
        right = cut.right.get(question)
        return max(right, key=lambda place: scores[place]) if right else int(scores.argmax())

    def _is_told(self, cut: _Cut, places: Sequence[int], question: Question) -> bool:
        """Whether the passages in view tell an answer: its words stand there, or all of the evidence does."""
        right = cut.right.get(question)
        if right is not None:
            if right and set(right) <= set(places):
                return True
            places = [place for place in places if place in right]
        seen = set().union(*(cut.stems[place] for place in places))
        known, *answers = (set(words) for words in stems([question.question, *question.answers]))
        news = [answer - known for answer in answers]
        return any(new and len(new & seen) >= TOLD * len(new) for new in news)

    def _cut_anew(self, number: int) -> _Cut:
        text = self.texts[number]
        found = passages([KeptText.of("story", text.text)], self.loaded.recipe.answers.passage_words)
        right = {
            question: [place for place, passage in enumerate(found) if stands_in(passage.text, question)]
            for question in text.questions
            if question.evidence
        }
        return _Cut(found, Search(found), [set(words) for words in stems([one.text for one in found])], right)
