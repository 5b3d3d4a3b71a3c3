"""What a judge of passages and a reader learn from: texts cut as `ask` cuts them, and which passage answers what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from infini_cli.lookback.finder import asked, read_again
from infini_cli.lookback.kept import KeptText
from infini_cli.lookback.measuring import stands_in
from infini_cli.lookback.passages import Passage, passages
from infini_cli.lookback.search import Search

if TYPE_CHECKING:
    import numpy as np
    from infini_attention import Loaded
    from infini_attention.adaptation.judging import Choosable
    from infini_attention.adaptation.reading import Readable
    from infini_attention.adaptation.stories import Question, Story
    from torch import Tensor


def choosable(loaded: Loaded, story: Story) -> Choosable:
    """A story's passages, and those of its questions whose answer is known to stand in one of them."""
    from infini_attention.adaptation.judging import Choosable

    cut = _cut(story)
    questions = [asked(loaded, one.question) for one in cut.questions]
    return Choosable([read_again(loaded, passage) for passage in cut.passages], questions, cut.right, cut.words)


def readable(loaded: Loaded, story: Story, prompt: Callable[[str], str]) -> Readable:
    """The same with the questions' answers; `prompt` puts a question as the model is asked it."""
    from infini_attention.adaptation.questions import asked_turn
    from infini_attention.adaptation.reading import Readable

    cut = _cut(story)
    turns = [asked_turn(loaded, prompt(one.question), one.answers, None) for one in cut.questions]
    return Readable([read_again(loaded, passage) for passage in cut.passages], turns, cut.right, cut.words)


def numbered(loaded: Loaded, text: str, prompt: Callable[[str], str], rng: np.random.Generator) -> Readable:
    """The passages of any text, with questions for the numbers in them."""
    import torch
    from infini_attention.adaptation.numbers import number_question
    from infini_attention.adaptation.questions import asked_turn
    from infini_attention.adaptation.reading import Readable

    found = passages([KeptText.of("text", text)])
    search = Search(found)
    sentences = ((passage.number, sentence.text) for passage in found for sentence in passage.sentences)
    asked = [(number, pair) for number, text in sentences if (pair := number_question(text, rng)) is not None]
    turns = [asked_turn(loaded, prompt(question), [answer], None) for _, (question, answer) in asked]
    shape = len(asked), len(found)
    right = torch.tensor([[number == place for place in range(len(found))] for number, _ in asked], dtype=torch.bool)
    words = torch.tensor([search.scores(question) for _, (question, _) in asked])
    return Readable(
        [read_again(loaded, passage) for passage in found], turns, right.reshape(shape), words.reshape(shape)
    )


class _Cut(NamedTuple):
    passages: list[Passage]
    questions: list[Question]
    right: Tensor
    words: Tensor


def _cut(story: Story) -> _Cut:
    import torch

    found = passages([KeptText.of("story", story.text)])
    search = Search(found)
    right = {one: [stands_in(passage.text, one) for passage in found] for one in story.questions if one.evidence}
    questions = [one for one, places in right.items() if any(places)]
    shape = len(questions), len(found)
    return _Cut(
        found,
        questions,
        torch.tensor([right[one] for one in questions], dtype=torch.bool).reshape(shape),
        torch.tensor([search.scores(one.question) for one in questions]).reshape(shape),
    )
