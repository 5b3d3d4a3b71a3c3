"""What a judge of passages and a reader learn from: texts cut as `ask` cuts them, and which passage answers what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.stories import Question, Story
from ..evaluate.question_answering import stands_in
from ..model.loading import Loaded
from ..qa.retrieve import asked, read_again
from ..text.kept import KeptText
from ..text.passages import Passage, passages
from ..text.search import Search
from .number_questions import number_question
from .passage_reading import Readable
from .questions import asked_turn, asking
from .reranking import Choosable


def choosable(loaded: Loaded, story: Story) -> Choosable:
    """A story's passages, and those of its questions whose answer is known to stand in one of them."""
    cut = _cut(story)
    questions = [asked(loaded, one.question) for one in cut.questions]
    return Choosable([read_again(loaded, passage) for passage in cut.passages], questions, cut.right, cut.words)


def readable(loaded: Loaded, story: Story) -> Readable:
    """The same with the questions' answers."""
    cut = _cut(story)
    turns = [asked_turn(loaded, asking(one.question), one.answers) for one in cut.questions]
    return Readable([read_again(loaded, passage) for passage in cut.passages], turns, cut.right, cut.words)


def numbered(loaded: Loaded, text: str, rng: np.random.Generator) -> Readable:
    """The passages of any text, with questions for the numbers in them."""
    found = passages([KeptText.of("text", text)])
    sentences = ((passage, sentence.text) for passage in found for sentence in passage.sentences)
    asked = [(passage, *pair) for passage, text in sentences if (pair := number_question(text, rng)) is not None]
    turns = [asked_turn(loaded, asking(question), [answer]) for _, question, answer in asked]
    places = [(question, [passage is other for other in found]) for passage, question, _ in asked]
    return Readable([read_again(loaded, passage) for passage in found], turns, *_tables(found, places))


class _Cut(NamedTuple):
    passages: list[Passage]
    questions: list[Question]
    right: Tensor
    words: Tensor


def _cut(story: Story) -> _Cut:
    found = passages([KeptText.of("story", story.text)])
    right = {one: [stands_in(passage.text, one) for passage in found] for one in story.questions if one.evidence}
    questions = [one for one, places in right.items() if any(places)]
    return _Cut(found, questions, *_tables(found, [(one.question, right[one]) for one in questions]))


def _tables(found: Sequence[Passage], asked: Sequence[tuple[str, Sequence[bool]]]) -> tuple[Tensor, Tensor]:
    """For each question and passage, whether the answer stands there, and how well words find it."""
    search, shape = Search(found), (len(asked), len(found))
    right = torch.tensor([places for _, places in asked], dtype=torch.bool)
    words = torch.tensor([search.scores(question) for question, _ in asked])
    return right.reshape(shape), words.reshape(shape)
