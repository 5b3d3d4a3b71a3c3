"""Baselines: bounded caches of the base's own keys and values, compared with the base on the tokens that they hold."""

from __future__ import annotations

import contextlib
from typing import Any

import naive
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.errors import InfiniError
from infini_attention.evaluate.baselines.neighbours import CHUNK, Neighbours, attend
from infini_attention.evaluate.baselines.plain import require_plain_positions
from infini_attention.evaluate.baselines.sliding import SlidingCache
from infini_attention.evaluate.perplexity import losses
from infini_attention.memory.inject import inject
from torch import Tensor

from models import FAMILIES, SEGMENT, VOCABULARY, base_model, small_config

# Attention that slides by itself would hide what the cache forgets.
PLAIN = [family for family in FAMILIES if family not in ("mistral", "gemma3")]


def model_of(family: str) -> Any:
    model = base_model(family)
    inject(model, small_config())
    return model


def text(tokens: int, seed: int = 0) -> Tensor:
    return torch.randint(VOCABULARY, (tokens,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", PLAIN)
def test_a_cache_with_room_for_everything_is_the_base(family: str) -> None:
    model, ids = model_of(family), text(4 * SEGMENT + 1)
    got = losses(SlidingCache(model, SEGMENT, 1000), model, ids, SEGMENT)
    logits = base_model(family)(ids[None, :-1]).logits[0]
    torch.testing.assert_close(got, torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none"))


@pytest.mark.parametrize("family", PLAIN)
def test_the_first_layer_sees_the_window_at_the_positions_of_a_short_text(family: str) -> None:
    # With one layer, keys depend on nothing but their token and position, so a short text has the same ones.
    model = base_model(family, layers=1)
    inject(model, small_config())
    ids = text(5 * SEGMENT)
    sliding = SlidingCache(model, SEGMENT, SEGMENT)
    sliding.read(ids[: 4 * SEGMENT])
    hidden = sliding.step(ids[None, 4 * SEGMENT :])
    expected = base_model(family, layers=1).model(ids[None, 3 * SEGMENT :]).last_hidden_state[:, SEGMENT:]
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("sinks", [0, 3])
def test_sinks_stay_and_the_rest_is_the_last_window(sinks: int) -> None:
    model = base_model("llama", layers=1)
    inject(model, small_config())
    ids = text(6 * SEGMENT)
    sliding = SlidingCache(model, SEGMENT, SEGMENT, sinks)
    sliding.read(ids[: 5 * SEGMENT])
    hidden = sliding.step(ids[None, 5 * SEGMENT :])
    seen = torch.cat([ids[:sinks], ids[4 * SEGMENT :]])
    expected = base_model("llama", layers=1).model(seen[None]).last_hidden_state[:, sinks + SEGMENT :]
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-4)


def test_what_is_kept_does_not_grow() -> None:
    model = model_of("llama")
    sliding, sizes = SlidingCache(model, SEGMENT, SEGMENT, 4), []
    for number in range(5):
        sliding.read(text(SEGMENT, number))
        sizes.append(sliding.state_bytes)
    per_token = 2 * 2 * 8 * 4 * 2  # keys and values, KV heads, head size, bytes, layers
    assert sizes == [SEGMENT * per_token] + [(SEGMENT + 4) * per_token] * 4
    assert sliding.tokens == 5 * SEGMENT


def test_generating_goes_on_like_the_base_and_changes_nothing() -> None:
    model, ids = model_of("llama"), text(2 * SEGMENT + 3)
    sliding = SlidingCache(model, SEGMENT, 1000)
    sliding.read(ids)
    prompt = text(4, seed=1)
    expected, whole = [], torch.cat([ids, prompt])
    base = base_model("llama")
    for _ in range(5):
        token = int(base(whole[None]).logits[0, -1].argmax())
        expected.append(token)
        whole = torch.cat([whole, torch.tensor([token])])
    for _ in range(2):
        assert list(sliding.generate(prompt.tolist(), 5)) == expected
    assert list(sliding.generate(prompt.tolist(), 5, stop={expected[2]})) == expected[: expected.index(expected[2])]
    other = sliding.fork()
    other.read(text(3 * SEGMENT))
    assert list(sliding.generate(prompt.tolist(), 5)) == expected


@given(
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(0, 4),
    st.integers(1, 9),
    st.integers(0, 12),
    st.integers(0, 99),
)
def test_looking_up_is_attention_over_the_segment_and_the_nearest_keys(
    heads: int, groups: int, tokens: int, before: int, old: int, top: int, seed: int
) -> None:
    torch.manual_seed(seed)
    query, plain = torch.randn(2, 2, heads * groups, tokens, 4, dtype=torch.double)
    key, value = torch.randn(2, 2, heads, before + tokens, 4, dtype=torch.double)
    old_keys, old_values = torch.randn(2, 2, heads, old, 4, dtype=torch.double)
    got = attend(query, key, value, plain, old_keys, old_values, top, 0.7)
    for b in range(2):
        for h in range(heads * groups):
            kv = (b, h // groups)
            expected = naive.look_up(
                query[b, h], key[kv], value[kv], plain[b, h], old_keys[kv], old_values[kv], top, 0.7
            )
            torch.testing.assert_close(got[b, :, h], expected, atol=1e-6, rtol=1e-5)


def test_many_queries_are_looked_up_in_pieces() -> None:
    torch.manual_seed(0)
    query, plain, key, value = torch.randn(4, 1, 2, 2 * CHUNK + 3, 4)
    old_keys, old_values = torch.randn(2, 1, 2, 20, 4)
    whole = attend(query, key, value, plain, old_keys, old_values, 5, 0.5)
    for start in (0, 5, CHUNK, 2 * CHUNK + 2):
        piece = slice(start, start + 1)
        one = attend(
            query[:, :, piece],
            key[:, :, : start + 1],
            value[:, :, : start + 1],
            plain[:, :, piece],
            old_keys,
            old_values,
            5,
            0.5,
        )
        torch.testing.assert_close(whole[:, piece], one)


@pytest.mark.parametrize("family", PLAIN)
def test_a_first_segment_is_the_bases_and_a_lookup_of_nothing_is_local(family: str) -> None:
    model, ids = model_of(family), text(3 * SEGMENT)
    implementation = model.config._attn_implementation
    reader, blind = Neighbours(model, SEGMENT, top=4), Neighbours(model, SEGMENT, top=0)
    for number, segment in enumerate(torch.split(ids, SEGMENT)):
        alone = base_model(family).model(segment[None]).last_hidden_state
        found = reader.step(segment[None])
        torch.testing.assert_close(blind.step(segment[None]), alone, atol=1e-5, rtol=1e-4)
        assert torch.allclose(found, alone, atol=1e-5) == (number == 0)
    assert reader.state_bytes == 3 * SEGMENT * 2 * 2 * 8 * 4
    # The model is left as it was.
    assert model.config._attn_implementation == implementation
    engine_logits = model(input_ids=ids[None, :SEGMENT]).logits
    torch.testing.assert_close(engine_logits, base_model(family)(ids[None, :SEGMENT]).logits)


def test_keys_are_kept_without_their_positions() -> None:
    model, ids = model_of("llama"), text(SEGMENT)
    reader = Neighbours(model, SEGMENT, top=1, layer=0)
    reader.read(torch.cat([ids, text(2 * SEGMENT, seed=1)]))
    reader.fork().read(text(SEGMENT, seed=2))
    # Reading on in a fork leaves this one as it is.
    assert len(reader.keys) == 3
    # The first layer's keys depend on tokens alone: where they stood in their segments is gone.
    plain = torch.cat(reader.keys, 2)[0, 0]
    whole = torch.cat([ids, text(2 * SEGMENT, seed=1)])
    same = whole[:, None] == whole[None]
    assert torch.equal(torch.cdist(plain, plain) < 1e-3, same)


def test_answers_look_up_too() -> None:
    model, ids = model_of("llama"), text(2 * SEGMENT + 2)
    reader = Neighbours(model, SEGMENT)
    reader.read(ids)
    prompt = text(3, seed=1).tolist()
    answer = list(reader.generate(prompt, 1))
    other = reader.fork()
    other.open_ids = []
    hidden = other.step(torch.tensor([ids[2 * SEGMENT :].tolist() + prompt]))
    with torch.inference_mode():
        assert answer == [int(model.get_output_embeddings()(hidden[0, -1]).argmax())]
    assert list(reader.generate(prompt, 4)) == list(reader.generate(prompt, 4))


def test_bases_whose_keys_do_not_just_turn_are_refused() -> None:
    for family in FAMILIES:
        plain = family != "gemma3"
        with contextlib.nullcontext() if plain else pytest.raises(InfiniError, match="rotary"):
            require_plain_positions(base_model(family))
    scaled = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10_000.0, "original_max_position_embeddings": 128}
    with pytest.raises(InfiniError, match="rotary"):
        require_plain_positions(base_model("qwen2", rope_parameters=scaled))


def test_a_prompt_that_does_not_fit_closes_the_open_segment_as_the_engine_does() -> None:
    model, ids = model_of("llama"), text(2 * SEGMENT - 2)
    reader, other = SlidingCache(model, SEGMENT, SEGMENT), SlidingCache(model, SEGMENT, SEGMENT)
    reader.read(ids)
    other.step(ids[None, :SEGMENT])
    other.step(ids[None, SEGMENT:])
    prompt = text(3, seed=1).tolist()
    assert list(reader.generate(prompt, 4)) == list(other.generate(prompt, 4))
    assert len(reader.open_ids) == SEGMENT - 2
