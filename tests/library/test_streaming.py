"""Streaming: any split of a text gives the same memories and logits; segments close where they should, once."""

from __future__ import annotations

import functools
from typing import Any

import naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from infini_attention.memory.cache import InfiniCache
from infini_attention.memory.inject import inject, new_cache
from infini_attention.memory.open_segment import SeenSigns
from infini_attention.memory.reading import Reading
from torch import Tensor

from models import (
    FAMILIES,
    GATES,
    RULES,
    SEGMENT,
    Model,
    base_model,
    decoder_of,
    logits_of,
    memory_model,
    memory_tensors,
    small_config,
    stir,
    stream,
    text,
)

# Root-mean-square norms compute in float32 inside float64 models, so float64's own exactness is out of reach.
TIGHT: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-8}


@functools.cache
def model_of(family: str, rule: str = "deltanet", gate: str = "residual") -> Model:
    beside: dict[str, Any] = (
        {"ngrams": (2, 3), "key_state_layers": (1,), "value_state_layers": (1,)} if rule == "deltanet" else {}
    )
    return memory_model(family, update_rule=rule, gate=gate, **beside)


def assert_same_memories(left: InfiniCache, right: InfiniCache) -> None:
    assert (left.tokens, left.open_tokens, left.segments) == (right.tokens, right.open_tokens, right.segments)
    pairs = list(zip(memory_tensors(left), memory_tensors(right), strict=True))
    assert pairs or left.segments == 0
    for a, b in pairs:
        torch.testing.assert_close(a, b, **TIGHT)


pieces: st.SearchStrategy[list[int]] = st.one_of(
    st.just([1] * 40),
    st.just([]),
    st.lists(st.integers(1, 21), max_size=8),
    st.lists(st.just(SEGMENT), max_size=4),
)


@settings(max_examples=40)
@given(
    st.sampled_from(FAMILIES),
    st.sampled_from(RULES),
    st.sampled_from(GATES),
    st.integers(1, 36),
    pieces,
)
def test_any_split_gives_the_same_memories_and_logits(
    family: str, rule: str, gate: str, tokens: int, split: list[int]
) -> None:
    model, ids = model_of(family, rule, gate), text(tokens, batch=2, seed=tokens)
    whole, whole_cache = stream(model, ids, [])
    logits, cache = stream(model, ids, split)
    torch.testing.assert_close(logits, whole, **TIGHT)
    assert_same_memories(cache, whole_cache)
    assert (cache.segments, cache.open_tokens) == divmod(tokens, SEGMENT)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("key_shift", [True, False])
@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"ngrams": (2, 4)},
        {"key_state_layers": (1,)},
        {"value_state_layers": (1,)},
        {"ngrams": (2, 4), "key_state_layers": (0, 1), "value_state_layers": (0, 1)},
    ],
)
def test_a_layer_gives_what_the_naive_layer_gives(
    rule: str, gate: str, key_shift: bool, beside: dict[str, Any]
) -> None:
    if beside and rule != "deltanet":
        pytest.skip("the paper's rules see no n-grams and have no gated states")
    model = memory_model(update_rule=rule, gate=gate, key_shift=key_shift, **beside)
    decoder = decoder_of(model)
    attention = decoder.layers[1].self_attn
    seen: dict[str, list[Tensor]] = {"hidden": [], "output": []}
    attention.register_forward_pre_hook(
        lambda module, args, kwargs: seen["hidden"].append(kwargs["hidden_states"]), with_kwargs=True
    )
    attention.o_proj.register_forward_pre_hook(lambda module, args: seen["output"].append(args[0]))
    ids = text(3 * SEGMENT + 2)
    decoder(input_ids=ids, past_key_values=new_cache(model))
    hidden, output = torch.cat(seen["hidden"], 1)[0].detach(), torch.cat(seen["output"], 1)[0]
    parameters = dict(attention.infini.named_parameters())
    trained = {name: parameter.detach().double().requires_grad_() for name, parameter in parameters.items()}
    weights = dict(trained)
    weights |= {name[0]: getattr(attention, name).weight.detach() for name in ("q_proj", "k_proj", "v_proj")}
    cos, sin = decoder.rotary_emb(hidden[None], torch.arange(SEGMENT)[None])
    config = small_config(update_rule=rule, gate=gate, key_shift=key_shift, **beside)
    token_signs = decoder.infini.signs
    signs = None if token_signs is None else token_signs(decoder.embed_tokens(ids))[0]
    wanted = naive.AttentionLayer(weights, config, cos[0], sin[0], 4, 2, signs, 1)(hidden)
    # Strengths, decays and gates meet the float32 parameters as float64, so only their rounding to float32 is left.
    torch.testing.assert_close(output, wanted.flatten(1), rtol=1e-6, atol=3e-7)
    weighs = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape)
    ours = torch.autograd.grad((weighs * output).sum(), list(parameters.values()))
    theirs = torch.autograd.grad((weighs * wanted.flatten(1)).sum(), list(trained.values()))
    for name, left, right in zip(parameters, ours, theirs, strict=True):
        assert right.any(), name
        torch.testing.assert_close(left.double(), right, rtol=1e-4, atol=1e-5 * float(right.abs().max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_open_tokens_stay_in_local_attention_until_their_segment_closes(family: str) -> None:
    model, base = model_of(family), base_model(family, dtype=torch.float64)
    ids = text(3 * SEGMENT)

    def without_memories(cache: InfiniCache) -> InfiniCache:
        for layer in cache.memories.values():
            layer.memory = None
        return cache

    for open_tokens in range(1, SEGMENT):
        read = SEGMENT + open_tokens
        # The deeper keys of the open segment were made with the memory in view, so it is taken away before them.
        _, cache = stream(model, ids[:, :SEGMENT], [])
        cache = without_memories(cache)
        logits_of(model, ids[:, SEGMENT:read], cache)
        after = logits_of(model, ids[:, read : read + 1], cache)
        wanted = logits_of(base, ids[:, SEGMENT : read + 1])[:, -1:]
        torch.testing.assert_close(after, wanted, **TIGHT)
    # The segment is closed: nothing of it is seen any more but through memory.
    assert cache.segments == 2
    after = logits_of(model, ids[:, 2 * SEGMENT : 2 * SEGMENT + 1], without_memories(cache))
    torch.testing.assert_close(after, logits_of(base, ids[:, 2 * SEGMENT : 2 * SEGMENT + 1]), **TIGHT)


def test_the_memory_is_read_at_every_token_that_follows() -> None:
    for rule in RULES:
        for gate in GATES:
            model = model_of("llama", rule, gate)
            _, cache = stream(model, text(SEGMENT), [])
            for index in cache.memories:
                other = cache.fork()
                memory = other.memories[index].memory
                assert memory is not None
                other.memories[index].memory = memory._replace(matrix=memory.matrix + 0.5)
                one = cache.fork()
                for token in text(2 * SEGMENT, seed=9).T:
                    left, right = (logits_of(model, token[None], c) for c in (one, other))
                    assert (left - right).abs().max() > 1e-6


def test_in_a_one_layer_model_only_the_memory_carries_over_a_border() -> None:
    # Two texts that differ in their first segment alone: the third token of the second segment can tell them apart.
    model = memory_model(base={"layers": 1})
    one, two = text(2 * SEGMENT), text(2 * SEGMENT)
    two[:, 0] = one[:, 0] % 60 + 1
    assert not torch.allclose(logits_of(model, one)[:, -1], logits_of(model, two)[:, -1])
    closed = base_model(dtype=torch.float64, layers=1)
    inject(closed, small_config(gate_bias=-1e9))
    torch.testing.assert_close(logits_of(closed, one)[:, SEGMENT:], logits_of(closed, two)[:, SEGMENT:], **TIGHT)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("gate", GATES)
def test_a_later_token_never_changes_an_earlier_logit(family: str, gate: str) -> None:
    model, ids = model_of(family, gate=gate), text(3 * SEGMENT)
    whole = logits_of(model, ids)
    for place in range(1, 3 * SEGMENT):
        changed = ids.clone()
        changed[:, place] = changed[:, place] % 60 + 1
        logits = logits_of(model, changed)
        assert torch.equal(logits[:, :place], whole[:, :place])
        assert not torch.equal(logits[:, place], whole[:, place])


@pytest.mark.parametrize("layers", [(0,), (1,), (0, 2)])
def test_only_the_chosen_layers_carry_a_memory(layers: tuple[int, ...]) -> None:
    model = memory_model(base={"layers": 3}, layers=layers)
    decoder = decoder_of(model)
    assert [hasattr(layer.self_attn, "infini") for layer in decoder.layers] == [i in layers for i in range(3)]
    ids = text(3 * SEGMENT + 1)
    (logits, cache), (whole, _) = stream(model, ids, [3, 1, 9]), stream(model, ids, [])
    assert tuple(cache.memories) == layers
    torch.testing.assert_close(logits, whole, **TIGHT)
    base = base_model(dtype=torch.float64, layers=3)
    assert torch.equal(whole[:, :SEGMENT], logits_of(base, ids[:, :SEGMENT]))
    assert not torch.allclose(whole[:, SEGMENT : 2 * SEGMENT], logits_of(base, ids[:, SEGMENT : 2 * SEGMENT]))


def test_layers_that_the_base_does_not_have_are_refused_by_the_cache_too() -> None:
    with pytest.raises(ValueError, match="2 layers"):
        InfiniCache(base_model().config, small_config(layers=(5,)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rule", RULES)
def test_memories_are_float32_beside_a_half_precision_base(dtype: torch.dtype, rule: str) -> None:
    model = memory_model(dtype=dtype, update_rule=rule)
    logits, cache = stream(model, text(4 * SEGMENT), [5])
    assert {tensor.dtype for tensor in memory_tensors(cache)} == {torch.float32}
    assert logits.dtype == dtype and logits.isfinite().all()
    path = decoder_of(model).layers[0].self_attn.infini
    assert {parameter.dtype for parameter in path.parameters()} == {torch.float32}


def test_a_half_precision_base_reads_a_long_text_without_nan_or_drift_from_its_float32_memory() -> None:
    model = memory_model(dtype=torch.bfloat16, update_rule="linear")
    _, cache = stream(model, text(200 * SEGMENT), [])
    memory = cache.memories[0].memory
    assert memory is not None and memory.norm is not None
    before = memory.norm
    assert before.isfinite().all()
    logits_of(model, text(SEGMENT, seed=5), cache)
    after = cache.memories[0].memory
    assert after is not None and after.norm is not None
    # In bfloat16 a single segment would vanish in the sum of two hundred.
    assert ((after.norm - before) > 0.5).all()


def test_a_cache_of_another_path_is_not_closed_over_its_room() -> None:
    cache = new_cache(model_of("llama"))
    with pytest.raises(ValueError, match="do not fit"):
        cache.take(Reading(cache.memories, SeenSigns()), text(SEGMENT + 1))


def test_embeddings_can_be_given_instead_of_ids() -> None:
    model, ids = model_of("llama"), text(2 * SEGMENT + 3)
    with torch.no_grad():
        embeds = model.get_input_embeddings()(ids)
        logits = model(inputs_embeds=embeds).logits
    assert torch.equal(logits, logits_of(model, ids))


def test_hidden_states_are_joined_over_segments() -> None:
    model, ids = model_of("llama"), text(2 * SEGMENT + 3)
    with torch.no_grad():
        outputs = model(input_ids=ids, output_hidden_states=True)
    assert [tuple(h.shape) for h in outputs.hidden_states] == [(1, 19, 32)] * 3
    torch.testing.assert_close(model.get_output_embeddings()(outputs.hidden_states[-1]), outputs.logits, **TIGHT)


def test_an_n_gram_is_known_by_its_tokens_and_their_order() -> None:
    model = memory_model(ngrams=(3,), base={"layers": 1})
    path = decoder_of(model).layers[0].self_attn.infini
    seen: list[Tensor] = []
    path.register_forward_pre_hook(lambda module, args: seen.append(args[0].ngrams[0, 0]))
    a, b, c, d = 5, 17, 31, 44
    for split in ([], [1] * 20):
        seen.clear()
        stream(model, torch.tensor([[a, b, c, d, a, b, c, b, a, c, b, a]]), split)
        ngrams = torch.cat([one[1:] for one in seen]).flatten(1)
        # Two tokens at the beginning end none; it is nothing to them where a segment ends.
        assert (ngrams.norm(dim=1) > 0).tolist() == [False] * 2 + [True] * 10
        alike = ngrams @ ngrams.T / ngrams[2].norm() ** 2
        # abc twice; bac, aca and cba are others, over a border of segments too.
        assert alike[2, 6] == 1 and (alike[2, [3, 4, 5, 7, 8, 9, 10, 11]].abs() < 0.9).all()
        assert torch.equal(seen[0][0], torch.zeros_like(seen[0][0]))


def test_n_grams_and_gated_states_follow_their_sequences_when_the_batch_is_changed() -> None:
    model, ids = model_of("llama"), text(SEGMENT + 7, batch=2)
    wanted, _ = stream(model, ids, [])
    _, cache = stream(model, ids[:, : SEGMENT + 4], [])
    cache.reorder_cache(torch.tensor([1, 0]))  # type: ignore[arg-type]
    cache.batch_repeat_interleave(2)
    rest = logits_of(model, ids[[1, 1, 0, 0], SEGMENT + 4 :], cache)
    torch.testing.assert_close(rest, wanted[[1, 1, 0, 0], SEGMENT + 4 :], **TIGHT)


def changes() -> list[dict[str, Any]]:
    beside = [{"ngrams": (2,)}, {"key_state_layers": (0,)}, {"value_state_layers": (0,)}]
    return [{"key_shift": True}, {"key_shift": False}, {"rank": 1}, *beside]


@pytest.mark.parametrize("change", changes())
def test_two_models_side_by_side_do_not_disturb_each_other(change: dict[str, Any]) -> None:
    one, ids = memory_model(), text(2 * SEGMENT)
    wanted = logits_of(one, ids)
    other = base_model("mistral", dtype=torch.float64, seed=5)
    inject(other, small_config(**change))
    stir(other)
    logits_of(other, ids)
    assert torch.equal(logits_of(one, ids), wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_untrained_path_writes_and_reads_with_what_the_base_projects_and_normalises(family: str) -> None:
    model = base_model(family, dtype=torch.float64)
    inject(model, small_config(gate_bias=-1e9))
    attention = decoder_of(model).layers[1].self_attn
    hidden: list[Tensor] = []
    attention.register_forward_pre_hook(
        lambda module, args, kwargs: hidden.append(kwargs["hidden_states"]), with_kwargs=True
    )
    queries: list[Tensor] = []
    attention.infini.register_forward_pre_hook(lambda module, args: queries.append(args[0].query))
    cache = new_cache(model)
    logits_of(model, text(5), cache)

    def projected(name: str, norm: str) -> Tensor:
        states: Tensor = getattr(attention, name)(hidden[0]).reshape(1, 5, -1, 8)
        if family in ("qwen3", "gemma3") and norm:
            states = getattr(attention, norm)(states)
        return states

    (write,) = cache.memories[1].pending
    torch.testing.assert_close(write.keys, projected("k_proj", "k_norm").transpose(1, 2), **TIGHT)
    torch.testing.assert_close(write.values, projected("v_proj", "").transpose(1, 2), **TIGHT)
    torch.testing.assert_close(queries[0], projected("q_proj", "q_norm"), **TIGHT)
