"""Distant passkeys: many keys a step, and hay between them and their questions that is written by replays."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.data.passkey import ANSWER, INTRO, NEEDLE, QUESTION
from infini_attention.train.distant_passkeys import BOOK_FILLS, CHAPTER, MOST_REST, MOST_ROWS, DistantRecall
from infini_attention.train.segments import IGNORED
from infini_attention.train.tasks import BatchShape
from letters import CORPUS, PASSKEY, answers_of, decode

plans = st.builds(
    BatchShape, st.integers(1, 3), st.integers(2, 6), st.sampled_from([250, 400]), st.integers(0, 4), st.integers(1, 99)
)


@given(plans, st.integers(0, 999), st.sampled_from([0.0, 1.0]))
def test_each_row_asks_for_the_key_that_its_own_segments_hold(plan: BatchShape, seed: int, book_share: float) -> None:
    *before, question = DistantRecall(PASSKEY, CORPUS, book_share).sample(plan, np.random.default_rng(seed))
    keys = answers_of(question)
    rows = len(keys)
    assert len(set(keys)) == rows and 1 <= rows <= MOST_ROWS
    # Rows may only grow, as the roll-out needs it.
    counts = [len(segment.ids) for segment in before]
    assert counts == sorted(counts) and set(counts) <= {1, rows} and counts[-1] == rows and len(before) >= 2
    common = counts.count(1) if rows > 1 else len(before) - 1
    assert all(segment.ids.shape[1] == plan.length for segment in before[:common])
    assert sum(segment.ids.shape[1] for segment in before[common:]) <= plan.length * (1 if common else 2)
    assert all(segment.labels is None for segment in before)
    for number, key in enumerate(keys):
        text = "".join(decode(segment.ids[min(number, len(segment.ids) - 1)]) for segment in before)
        needle = NEEDLE.format(key=key[1:-1])
        assert key == ANSWER.format(key=key[1:-1])
        assert text.count(needle) == 1 and text.count("pass key is") == 1
        assert text.startswith(INTRO)
        assert ("The grass is green" in text) == (book_share == 0.0)
        asked = decode(question.ids[number])
        # The end of the answer is asked for, not shown.
        assert asked.endswith((QUESTION + key)[:-1])
        assert 1 <= len(asked) - len((QUESTION + key)[:-1]) <= MOST_REST
    assert question.labels is not None and question.backprop
    shown = question.labels[:, :-1] != IGNORED
    assert torch.equal(question.labels[:, :-1][shown], question.ids[:, 1:][shown])


@given(plans, st.integers(0, 999))
def test_what_is_written_again_is_hay_without_a_key_that_was_read_before(plan: BatchShape, seed: int) -> None:
    segments = DistantRecall(PASSKEY, None).sample(plan, np.random.default_rng(seed))
    for number, segment in enumerate(segments):
        assert all(0 <= s <= number for s in segment.replayed)
        assert len(segment.replayed) * segment.times <= plan.replayed_segments + CHAPTER // 2 + 1
        for s in segment.replayed:
            assert not any("pass key is" in decode(row) for row in segments[s].ids)
    assert segments[-2].replayed


def test_keys_are_torn_by_the_end_of_a_segment_at_every_place() -> None:
    rng, torn, whole = np.random.default_rng(0), set(), 0
    for _ in range(300):
        *_, first, second, question = DistantRecall(PASSKEY, None).sample(BatchShape(2, 3, 250, 2), rng)
        needle = NEEDLE.format(key=answers_of(question)[0][1:-1])
        end, rest = decode(first.ids[0]), decode(second.ids[0])
        torn |= {k for k in range(1, len(needle)) if end.endswith(needle[:k]) and rest.startswith(needle[k:])}
        whole += needle in rest
    # About 80 draws over 61 places.
    assert len(torn) > 35 and {min(torn) < 5, max(torn) > len(needle) - 5} == {True}
    assert whole > 100


def test_without_echoes_in_the_plan_nothing_is_written_again() -> None:
    rng, plan = np.random.default_rng(0), BatchShape(1, 3, 250, 2)
    assert not any(s.replayed for _ in range(20) for s in DistantRecall(PASSKEY, CORPUS).sample(plan, rng))


def test_distances_reach_from_nothing_to_the_most() -> None:
    rng, plan = np.random.default_rng(0), BatchShape(1, 3, 250, 2, replayed_segments=64)
    counts = []
    for _ in range(200):
        segment = DistantRecall(PASSKEY, None).sample(plan, rng)[-2]
        counts.append(len(segment.replayed) * segment.times)
    assert min(counts) <= 2 and max(counts) > 50
    assert sum(count > 16 for count in counts) > 50


def test_the_hay_of_a_text_is_shorter_than_that_of_the_filler() -> None:
    rng, plan = np.random.default_rng(0), BatchShape(1, 3, 250, 2, replayed_segments=64)
    drawn = [DistantRecall(PASSKEY, CORPUS, 1.0).sample(plan, rng)[-2] for _ in range(200)]
    counts = [len(segment.replayed) * segment.times for segment in drawn]
    assert 0.75 * 64 / BOOK_FILLS < max(counts) <= 64 / BOOK_FILLS + 1


def test_short_segments_hold_more_keys() -> None:
    rng, plan = np.random.default_rng(0), BatchShape(1, 4, 1000, 2, replayed_segments=64)
    short, long = set(), set()
    for _ in range(100):
        *before, question = DistantRecall(PASSKEY, None).sample(plan, rng)
        rows = len(question.ids)
        length = sum(segment.ids.shape[1] for segment in before if len(segment.ids) == rows)
        short |= {rows} if length <= 100 else set()
        long |= {rows} if 900 < length <= 1000 else set()
    assert short == {MOST_ROWS} and long == {2}


def test_the_same_seed_draws_the_same() -> None:
    task, plan = DistantRecall(PASSKEY, CORPUS), BatchShape(2, 3, 300, 2, 20)
    one, two, other = (task.sample(plan, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all(torch.equal(a.ids, b.ids) and a.replayed == b.replayed for a, b in zip(one, two, strict=True))
    assert answers_of(one[-1]) != answers_of(other[-1])


def test_a_key_needs_room_in_a_segment() -> None:
    task = DistantRecall(PASSKEY, None)
    least = len(PASSKEY.intro) + len(PASSKEY.needle(12345))
    assert task.fits(3, least) and not task.fits(3, least - 1)
