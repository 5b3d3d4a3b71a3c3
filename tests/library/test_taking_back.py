"""A cache whose last tokens are taken back: by hand, and as assisted decoding does it."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from infini_attention.errors import UseError
from infini_attention.memory.cache import InfiniCache
from infini_attention.memory.inject import new_cache

from models import RULES, SEGMENT, Model, base_model, logits_of, memory_model, memory_tensors, stream, text

TIGHT: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-8}
SEEN: dict[str, Any] = {"ngrams": (2, 3), "key_state_layers": (0, 1), "value_state_layers": (1,)}
PATHS: list[dict[str, Any]] = [*({"update_rule": rule} for rule in RULES), SEEN, {**SEEN, "reread_first": True}]


@functools.cache
def model_of(family: str = "llama", number: int = 2) -> Model:
    return memory_model(family, **PATHS[number])


def recording(model: Model) -> InfiniCache:
    cache = new_cache(model)
    cache.activate_past_recording()
    return cache


def assert_like_fresh(model: Model, cache: InfiniCache, kept: torch.Tensor) -> None:
    """The cache has read ``kept`` and nothing else."""
    following = text(SEGMENT + 2, seed=9)
    _, fresh = stream(model, kept, [])
    assert (cache.tokens, cache.segments, cache.open_tokens) == (fresh.tokens, fresh.segments, fresh.open_tokens)
    torch.testing.assert_close(logits_of(model, following, cache), logits_of(model, following, fresh), **TIGHT)
    for ours, wanted in zip(memory_tensors(cache), memory_tensors(fresh), strict=True):
        torch.testing.assert_close(ours, wanted, **TIGHT)


@pytest.mark.parametrize("number", range(len(PATHS)))
@pytest.mark.parametrize("taken", [0, 1, 3, 5])
def test_tokens_of_the_open_segment_are_taken_back(number: int, taken: int) -> None:
    model, ids = model_of(number=number), text(2 * SEGMENT + 5)
    _, cache = stream(model, ids, [2 * SEGMENT + 1, 3])
    cache.crop(-taken)
    assert_like_fresh(model, cache, ids[:, : ids.shape[1] - taken])


@pytest.mark.parametrize("number", range(len(PATHS)))
@pytest.mark.parametrize("taken", [3, 4, SEGMENT + 6])
def test_tokens_are_taken_back_over_a_border_where_that_was_asked_for(number: int, taken: int) -> None:
    model, ids = model_of(number=number), text(2 * SEGMENT + 3)
    cache = recording(model)
    for piece in (ids[:, :3], ids[:, 3:]):
        logits_of(model, piece, cache)
    cache.crop(-taken)
    assert_like_fresh(model, cache, ids[:, : ids.shape[1] - taken])


@pytest.mark.parametrize("family", ["mistral", "gemma3"])
def test_windows_go_back_as_well(family: str) -> None:
    model, ids = model_of(family), text(SEGMENT + 7)
    cache = recording(model)
    logits_of(model, ids, cache)
    cache.crop(-2)
    assert_like_fresh(model, cache, ids[:, :-2])
    with pytest.raises(UseError, match="windows"):
        stream(model, ids, [])[1].crop(-2)


def test_a_closed_segment_is_not_taken_back_and_the_cache_stays_as_it_was() -> None:
    model, ids = model_of(), text(2 * SEGMENT + 3)
    _, cache = stream(model, ids, [])
    with pytest.raises(UseError, match="closed"):
        cache.crop(-4)
    with pytest.raises(UseError, match="negative"):
        cache.crop(4)
    assert_like_fresh(model, cache, ids)


def test_reset_forgets_everything() -> None:
    model, ids = model_of(), text(2 * SEGMENT + 3)
    _, cache = stream(model, ids, [])
    cache.reset()
    assert cache.get_seq_length() == 0
    assert torch.equal(logits_of(model, ids, cache), logits_of(model, ids))


def test_rows_are_selected_with_their_memories() -> None:
    model, ids = model_of(number=3), text(SEGMENT + 3, batch=3)
    _, cache = stream(model, ids, [])
    cache.batch_select_indices(torch.tensor([2, 0]))
    assert_like_fresh_rows(model, cache, ids[[2, 0]])


def assert_like_fresh_rows(model: Model, cache: InfiniCache, kept: torch.Tensor) -> None:
    following, (_, fresh) = text(SEGMENT, batch=len(kept), seed=9), stream(model, kept, [])
    torch.testing.assert_close(logits_of(model, following, cache), logits_of(model, following, fresh), **TIGHT)


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma3"])
@pytest.mark.parametrize("prompt", [3, 2 * SEGMENT + 6])
def test_prompt_lookup_and_an_assistant_give_the_greedy_tokens(family: str, prompt: int) -> None:
    model, base = model_of(family), base_model(family, dtype=torch.float64)
    ids = text(4, seed=2).repeat(1, prompt)[:, :prompt]
    for one in (base, model):
        greedy = one.generate(ids, max_new_tokens=3 * SEGMENT, do_sample=False)
        looked_up = one.generate(ids, max_new_tokens=3 * SEGMENT, do_sample=False, prompt_lookup_num_tokens=3)
        assert torch.equal(looked_up, greedy)
        assisted = one.generate(ids, max_new_tokens=3 * SEGMENT, do_sample=False, assistant_model=base)
        assert torch.equal(assisted, greedy)
    # The model is its own assistant: all of its drafts are right.
    assert torch.equal(model.generate(ids, max_new_tokens=3 * SEGMENT, do_sample=False, assistant_model=model), greedy)


def test_a_cache_of_assisted_decoding_holds_what_was_read() -> None:
    model, ids, cache = model_of(), text(4, seed=2).repeat(1, 5), new_cache(model_of())
    found = model.generate(
        ids, max_new_tokens=2 * SEGMENT, do_sample=False, prompt_lookup_num_tokens=3, past_key_values=cache
    )
    assert cache.tokens == found.shape[1] - 1
    assert_like_fresh(model, cache, found[:, :-1])


def test_a_plain_model_refuses_the_cache() -> None:
    with pytest.raises(UseError, match="without a memory path"):
        base_model()(input_ids=text(3), past_key_values=new_cache(model_of()))
