"""Questions made from the numbers of a text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from infini_attention.data.corpus import Corpus
from infini_attention.errors import InfiniError
from infini_attention.train.number_questions import number_question
from infini_attention.train.passage_reading import NUMBERED_TOKENS, PASSAGES, Readable, ReadingNumbers
from infini_attention.train.questions import AskedTurn
from infini_attention.train.tasks import BatchShape
from torch import Tensor

SENTENCE = "Old Brannock carried twenty-four ropes from the quay to the chapel."


def asked(sentence: str) -> set[tuple[str, str]]:
    found = (number_question(sentence, np.random.default_rng(seed)) for seed in range(40))
    return {pair for pair in found if pair is not None}


def test_a_count_is_asked_for_in_three_ways() -> None:
    questions = asked(SENTENCE)
    assert {answer for _, answer in questions} == {"twenty-four ropes"}
    assert ("Old Brannock carried how many ropes from the quay to the chapel?", "twenty-four ropes") in questions
    assert ("How many ropes from the quay to the chapel?", "twenty-four ropes") in questions
    told = [question for question, _ in questions if "are told of: " in question]
    clues = [question.removeprefix("How many ropes are told of: ").rstrip("?").split(", ") for question in told]
    assert len(clues) > 3 and all(len(each) == 3 and set(each) <= set(SENTENCE[:-1].split()) for each in clues)
    assert len(told) + 2 == len(questions)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a hundred and twelve pounds", "a hundred and twelve pounds"),
        ("1,240 men", "1,240 men"),
        ("two thousand six hundred and one feet", "two thousand six hundred and one feet"),
        ("9 fathoms", "9 fathoms"),
        ("one boat", None),
        ("a thousand", None),
        ("three days and six nights", "three days"),
        ("seven various things", None),
        ("someone sat down there", None),
    ],
)
def test_what_counts_as_a_number(text: str, answer: str | None) -> None:
    found = asked(f"They had {text} behind them by then.")
    assert {told for _, told in found} == (set() if answer is None else {answer})


def test_too_little_or_too_much_is_not_asked() -> None:
    assert not asked("He had nine ropes.")
    assert not asked(f"He had nine ropes {'and some more ' * 20}.")


def test_texts_are_drawn_until_one_tells_a_number() -> None:
    ids = np.arange(3 * NUMBERED_TOKENS, dtype=np.uint32)
    corpus, seen = Corpus(ids, np.array([len(ids)])), []

    def cut(tokens: Tensor, rng: np.random.Generator) -> Readable:
        seen.append(tokens)
        passages = [[int(tokens[0])], *([number] for number in range(5))]
        turns = [AskedTurn([7], ([8],))] * (len(seen) > 2)
        right = torch.tensor([[True] + [False] * 5] * len(turns), dtype=torch.bool).reshape(len(turns), 6)
        return Readable(passages, turns, right, right.float())

    task = ReadingNumbers(corpus, cut)
    view, question, *others = task.sample(BatchShape(1, 1, 4, 1), np.random.default_rng(0))
    assert len(seen) == 3 and {len(tokens) for tokens in seen} == {NUMBERED_TOKENS} and not others
    assert view.ids.shape == (1, PASSAGES) and int(seen[-1][0]) in view.ids
    assert question.ids.tolist() == [[7]] and question.labels is not None and question.labels.tolist() == [[8]]
    empty = Readable([[1]], [], torch.ones(0, 1) > 0, torch.ones(0, 1))
    with pytest.raises(InfiniError, match="no numbers"):
        ReadingNumbers(corpus, lambda tokens, rng: empty).sample(BatchShape(1, 1, 4, 1), np.random.default_rng(0))
