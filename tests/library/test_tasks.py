"""Training tasks: what they show, what they ask for, and where they hide it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.data.passkey import NEEDLE
from infini_attention.train.segments import IGNORED, Segment
from infini_attention.train.tasks import LanguageModelling, PasskeyRecall, Plan
from letters import CORPUS, PASSKEY, answers_of, decode

plans = st.builds(Plan, st.integers(1, 3), st.integers(2, 5), st.sampled_from([300, 400]), st.integers(1, 5))


@given(st.integers(1, 3), st.integers(2, 6), st.integers(2, 40), st.integers(1, 6), st.integers(0, 99))
def test_language_modelling_shows_consecutive_segments_and_asks_for_the_next_tokens(
    batch: int, count: int, length: int, full: int, seed: int
) -> None:
    plan = Plan(batch, count, length, min(full, count))
    segments = LanguageModelling(CORPUS).sample(plan, np.random.default_rng(seed))
    assert [tuple(s.ids.shape) for s in segments] == [(batch, length)] * count
    ids = torch.cat([s.ids for s in segments], 1)
    assert torch.equal(ids, ids[:, :1] + torch.arange(count * length))
    for number, segment in enumerate(segments):
        # Nothing is asked where no memory stands behind.
        asked = number >= max(1, count - plan.full)
        assert (segment.labels is not None) == asked == segment.full
        if segment.labels is not None:
            assert torch.equal(segment.labels, segment.ids + 1)
    again = LanguageModelling(CORPUS).sample(plan, np.random.default_rng(seed))
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(segments, again, strict=True))


def keys_of(segments: list[Segment]) -> list[str]:
    """The key that each row asks for, read from the labels."""
    answers = answers_of(segments[-1])
    assert all(len(answer) == 7 and answer[0] == " " and answer[-1] == "." for answer in answers)
    return [answer[1:-1] for answer in answers]


@given(plans, st.integers(0, 999), st.sampled_from([0.0, 1.0]))
def test_passkey_labels_spell_the_key_that_stands_in_the_hay(plan: Plan, seed: int, book_share: float) -> None:
    task = PasskeyRecall(PASSKEY, CORPUS, book_share)
    segments = task.sample(plan, np.random.default_rng(seed))
    assert len(segments) == plan.segments
    assert [s.labels is None for s in segments] == [True] * (plan.segments - 1) + [False]
    assert segments[-1].full
    assert all(s.ids.shape == (plan.batch, plan.length) for s in segments[:-1])
    assert segments[-1].ids.shape[1] <= plan.length
    ids = torch.cat([s.ids for s in segments], 1)
    for row, key in zip(ids, keys_of(segments), strict=True):
        text = decode(row)
        assert text.count(NEEDLE.format(key=key)) == 1
        assert text.startswith("There is an important info hidden")
        assert text.endswith(f" What is the pass key? The pass key is {key}")
        assert ("The grass is green" in text) == (book_share == 0.0)
    # Each label stands under the token before it.
    labels = segments[-1].labels
    assert labels is not None
    assert torch.equal(labels[:, -7:-1], segments[-1].ids[:, -6:])
    assert (labels[:, :-7] == IGNORED).all()


@given(plans, st.integers(0, 999))
def test_the_same_seed_draws_the_same_and_another_seed_another(plan: Plan, seed: int) -> None:
    task = PasskeyRecall(PASSKEY, CORPUS)
    one, two, other = (task.sample(plan, np.random.default_rng(s)) for s in (seed, seed, seed + 1))
    assert all(torch.equal(a.ids, b.ids) and a.full == b.full for a, b in zip(one, two, strict=True))
    assert keys_of(one) == keys_of(two) != keys_of(other)


def test_keys_stand_in_every_segment_and_seldom_in_the_open_one() -> None:
    rng, places = np.random.default_rng(0), []
    plan = Plan(1, 4, 400, 4)
    for _ in range(300):
        ids = torch.cat([s.ids for s in PasskeyRecall(PASSKEY, None).sample(plan, rng)], 1)
        places.append(decode(ids[0]).index(" The pass key is") // plan.length)
    counts = [places.count(number) for number in range(4)]
    assert sum(counts) == 300
    assert min(counts[:3]) > 60 and 0 < counts[3] < 30


def test_rows_of_a_batch_hold_different_keys_in_different_places() -> None:
    segments = PasskeyRecall(PASSKEY, None).sample(Plan(4, 4, 300, 4), np.random.default_rng(1))
    ids = torch.cat([s.ids for s in segments], 1)
    assert len(set(keys_of(segments))) == 4
    assert len({decode(row).index(" The pass key is") for row in ids}) > 1


@given(st.integers(0, 3), st.floats(0, 1), st.integers(0, 500))
def test_a_haystack_keeps_its_length_and_its_key_its_depth(offset: int, depth: float, spare: int) -> None:
    needle = PASSKEY.needle(12345)
    length = len(PASSKEY.intro) + len(needle) + spare
    hay = PASSKEY.filler(length, offset)
    before, after = PASSKEY.hide(hay, 12345, depth)
    assert len(before) + len(after) == length
    assert torch.equal(before[: len(PASSKEY.intro)], PASSKEY.intro)
    assert torch.equal(after[: len(needle)], needle)
    place = len(before) - len(PASSKEY.intro)
    assert place == min(int(depth * (spare + 1)), spare)
    rest = torch.cat([before[len(PASSKEY.intro) :], after[len(needle) :]])
    assert torch.equal(rest, hay[:spare])


def test_hay_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        PASSKEY.hide(PASSKEY.filler(len(PASSKEY.intro) + len(PASSKEY.needle(12345)) - 1), 12345, 0.5)


def test_keys_have_five_digits_and_the_filler_repeats() -> None:
    rng = np.random.default_rng(0)
    keys = [PASSKEY.draw(rng) for _ in range(5000)]
    assert min(keys) >= 10_000 and max(keys) <= 99_999 and len(set(keys)) > 4500
    size = len(PASSKEY.filler_ids)
    assert torch.equal(PASSKEY.filler(3 * size, 0), PASSKEY.filler_ids.repeat(3))
    assert torch.equal(PASSKEY.filler(size, 5), PASSKEY.filler_ids.roll(-5))
    assert PASSKEY.answer_tokens == 7 and PASSKEY.question_tokens == len(PASSKEY.question)
