"""Language modelling over segments, and hay with a key in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.train.tasks import BatchShape, LanguageModelling
from letters import CORPUS, PASSKEY


@given(st.integers(1, 3), st.integers(2, 6), st.integers(2, 40), st.integers(1, 6), st.integers(0, 99))
def test_language_modelling_shows_consecutive_segments_and_asks_for_the_next_tokens(
    batch: int, count: int, length: int, full: int, seed: int
) -> None:
    plan = BatchShape(batch, count, length, min(full, count))
    segments = LanguageModelling(CORPUS).sample(plan, np.random.default_rng(seed))
    assert [tuple(s.ids.shape) for s in segments] == [(batch, length)] * count
    ids = torch.cat([s.ids for s in segments], 1)
    assert torch.equal(ids, ids[:, :1] + torch.arange(count * length))
    for number, segment in enumerate(segments):
        # Nothing is asked where no memory stands behind.
        asked = number >= max(1, count - plan.backprop_segments)
        assert (segment.labels is not None) == asked == segment.backprop
        if segment.labels is not None:
            assert torch.equal(segment.labels, segment.ids + 1)
    again = LanguageModelling(CORPUS).sample(plan, np.random.default_rng(seed))
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(segments, again, strict=True))


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
