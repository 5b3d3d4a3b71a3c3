"""Sentences in hay: planted whole and in order, between sentences; rolled out with their questions; and scored."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.data import facts, needles
from infini_attention.data.hiding import Hidden, Planter
from infini_attention.errors import InfiniError
from infini_attention.evaluate.recall import Hiding, grid
from infini_attention.train.distant_passkeys import CHAPTER
from infini_attention.train.hidden_recall import KEY_QUESTIONS, MOST_ROWS, HiddenRecall, key_draws
from infini_attention.train.segments import IGNORED
from infini_attention.train.tasks import BatchShape
from letters import CORPUS, PASSKEY, answers_of, decode, encode
from torch import Tensor

ENDS = torch.zeros(7000, dtype=torch.bool)
ENDS[ord(".")] = True
PLANTER = Planter(encode, ENDS)
DRAWS: list[Callable[[np.random.Generator], Sequence[Hidden]]] = [
    functools.partial(facts.draw_all, "person_place"),
    lambda rng: [needles.draw("number_of_four", rng)],
]
plans = st.builds(
    BatchShape, st.integers(1, 4), st.integers(2, 6), st.sampled_from([150, 400]), st.integers(0, 4), st.integers(0, 99)
)


def ids_of(text: str) -> Tensor:
    return torch.tensor(encode(text), dtype=torch.long)


@given(st.integers(0, 5), st.text("xy .", max_size=60), st.integers(0, 99))
def test_planting_keeps_the_hay_and_the_order_and_tears_no_sentence(count: int, hay: str, seed: int) -> None:
    sentences = [f" <Fact {number}.>" for number in range(count)]
    text = decode(PLANTER.plant([ids_of(one) for one in sentences], ids_of(hay), np.random.default_rng(seed)))
    places = [text.index(one) for one in sentences]
    assert places == sorted(places)
    assert re.sub(" <Fact ..>", "", text) == hay
    for place in places:
        before = re.sub(" <Fact ..>", "", text[:place])
        assert not before or before.endswith(".")


def test_places_reach_from_the_first_to_the_last_sentence() -> None:
    hay, seen = ids_of("a. b. c."), set()
    for seed in range(60):
        planted = PLANTER.plant([ids_of("!")], hay, np.random.default_rng(seed))
        seen.add(decode(planted).index("!"))
    assert seen == {0, 2, 5, 8}


@given(plans, st.integers(0, 999))
def test_each_row_holds_its_sentences_and_asks_about_them(plan: BatchShape, seed: int) -> None:
    each = 1 + seed % 3
    task = HiddenRecall("mixed", DRAWS, each, PLANTER, PASSKEY, CORPUS)
    *before, question = task.sample(plan, np.random.default_rng(seed))
    answers = answers_of(question)
    assert 1 <= len(answers) // each <= MOST_ROWS and len(answers) % each == 0
    assert all(segment.labels is None and segment.ids.shape[1] <= plan.length for segment in before)
    assert question.labels is not None
    for number, answer in enumerate(answers):
        text = "".join(decode(segment.ids[min(number // each, len(segment.ids) - 1)]) for segment in before)
        asked = decode(question.ids[number])
        assert answer.startswith(" ") and answer.endswith(".")
        for value in answer[1:-1].split(", "):
            assert value in text and value not in asked[: asked.rindex("Answer:" if "Answer:" in asked else " is")]
    for ids, labels in zip(question.ids, question.labels, strict=True):
        (places,) = (labels != IGNORED).nonzero(as_tuple=True)
        # The end of the answer is asked for, not shown.
        assert torch.equal(labels[places[:-1]], ids[places[1:]])


@given(plans, st.integers(0, 99))
def test_keys_of_the_same_row_have_values_of_their_own(plan: BatchShape, seed: int) -> None:
    task = HiddenRecall("keys", key_draws(), KEY_QUESTIONS, PLANTER, PASSKEY, None)
    answers = answers_of(task.sample(plan, np.random.default_rng(seed))[-1])
    assert len(answers) % KEY_QUESTIONS == 0
    for first in range(0, len(answers), KEY_QUESTIONS):
        row = answers[first : first + KEY_QUESTIONS]
        # Those of a row with fewer keys than questions come again, in turn.
        assert (len(set(row)) == KEY_QUESTIONS) or row[0] in row[1:]


@given(plans, st.integers(0, 999))
def test_only_the_common_hay_is_written_again(plan: BatchShape, seed: int) -> None:
    segments = HiddenRecall("mixed", DRAWS, 2, PLANTER, PASSKEY, None).sample(plan, np.random.default_rng(seed))
    common = [number for number, one in enumerate(segments[:-1]) if (one.ids == one.ids[:1]).all()]
    for number, segment in enumerate(segments):
        assert all(s <= number and s in common for s in segment.replayed)
        assert len(segment.replayed) * segment.times <= plan.replayed_segments + CHAPTER // 2 + 1
    assert bool(segments[-2].replayed) == bool(plan.replayed_segments and plan.segments > 2)


def test_sentences_stand_at_the_start_too() -> None:
    task, first = HiddenRecall("mixed", DRAWS[1:], 1, PLANTER, PASSKEY, CORPUS), []
    for seed in range(60):
        *before, question = task.sample(BatchShape(2, 4, 400, 2, 9), np.random.default_rng(seed))
        (answer,) = set(answers_of(question)[:1])
        first.append(answer[1:-1] in decode(before[0].ids[0]))
        # Where they do, all rows have the same behind them; otherwise it comes before.
        assert len(before[0].ids) == len(question.ids) if first[-1] else len(before[0].ids) == 1
    assert 0.3 < sum(first) / len(first) < 0.7


@given(st.integers(0, 999))
def test_two_segments_have_no_hay_behind_the_sentences_nor_before_a_question(seed: int) -> None:
    task = HiddenRecall("facts", DRAWS[:1], 2, PLANTER, PASSKEY, CORPUS)
    *own, question = task.sample(BatchShape(2, 2, 400, 2, 9), np.random.default_rng(seed))
    assert all(2 * len(segment.ids) == len(question.ids) and not segment.replayed for segment in own)
    assert all(decode(ids).startswith("\nQuestion: ") for ids in question.ids)


def hiding(hay: int, *, bare: bool = True) -> Hiding:
    hidden = Hidden((" The cat is blue.",), " What colour is the cat? It is", ("blue",))
    return Hiding("cats", lambda length, rng: hidden, needles.score, torch.full((hay,), 2000), bare=bare)


def test_a_series_has_prompts_of_the_length_asked_for() -> None:
    series = grid(PLANTER, [hiding(500)], [0, 100, 400], 3, 7)
    assert [one.labels for one in series] == [{"kind": "cats", "length": length} for length in (0, 100, 400)]
    for one in series:
        for trial in range(one.trials):
            probe = one.draw(trial)
            least = len(" The cat is blue. What colour is the cat? It is")
            assert sum(map(len, probe.document)) + len(probe.prompt) == max(one.labels["length"], least)
            text = "".join(map(decode, probe.document))
            assert text.count(" The cat is blue.") == 1
            answers = {" blue. And": 1, " bluebell": 0, "": 0}
            assert {answer: probe.score(answer)["right"] for answer in answers} == answers
        again = grid(PLANTER, [hiding(500)], [one.labels["length"]], 1, 7)[0].draw(0)  # type: ignore[list-item]
        assert torch.equal(torch.cat(again.document), torch.cat(one.draw(0).document))
    with pytest.raises(InfiniError, match="no room for cats"):
        grid(PLANTER, [hiding(500, bare=False)], [10], 1, 7)[0].draw(0)
    with pytest.raises(InfiniError, match="haystack"):
        grid(PLANTER, [hiding(50)], [100], 1, 0)
