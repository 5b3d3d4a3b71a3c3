"""A model with a memory, used as people use their models. The plain base is the control."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from families import tiny
from infini_attention.errors import UseError
from infini_attention.memory.config import UpdateRule
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import eject, inject, injection, memory_off, new_cache
from infini_attention.memory.parameters import memory_parameters
from infini_attention.memory.rules import retrieve, update
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoModelForCausalLM, MixtralConfig
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from models import (
    RULES,
    SEGMENT,
    VOCABULARY,
    Model,
    base_model,
    logits_of,
    memory_model,
    small_config,
    text,
    with_path,
)

LONG = 2 * SEGMENT + 5
SEEN: dict[str, Any] = {"ngrams": (2,), "key_state_layers": (0, 1), "value_state_layers": (1,)}


@pytest.mark.parametrize("asked", [None, True, False])
@pytest.mark.parametrize("in_config", [True, False])
def test_a_cache_is_given_where_the_base_gives_one(asked: bool | None, in_config: bool) -> None:
    base = base_model()
    base.config.use_cache = in_config
    model, ids = with_path(base), text(LONG)
    first, wanted = (one(ids[:, :9], use_cache=asked) for one in (model, base))
    assert (first.past_key_values is None) == (wanted.past_key_values is None)
    if first.past_key_values is not None:
        rest = model(ids[:, 9:], past_key_values=first.past_key_values).logits
        torch.testing.assert_close(rest, logits_of(model, ids)[:, 9:], rtol=1e-4, atol=1e-4)


def test_a_copy_has_layers_and_memories_of_its_own() -> None:
    model, ids = memory_model(**SEEN), text(LONG)
    before, other = logits_of(model, ids), copy.deepcopy(model)
    assert torch.equal(logits_of(other, ids), before)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(logits_of(other, ids), before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not torch.equal(logits_of(other, ids), before)
    eject(other)
    assert injection(model) is not None and injection(other) is None
    assert model.generate(ids, max_new_tokens=2).shape == (1, LONG + 2)


def test_a_model_goes_through_pickle() -> None:
    model, ids = memory_model(**SEEN), text(LONG)
    saved = io.BytesIO()
    torch.save(model, saved)
    saved.seek(0)
    for other in (pickle.loads(pickle.dumps(model)), torch.load(saved, weights_only=False)):
        assert torch.equal(logits_of(other, ids), logits_of(model, ids))
        assert torch.equal(other.generate(ids, max_new_tokens=9), model.generate(ids, max_new_tokens=9))
        eject(other)
        assert torch.equal(logits_of(other, ids), logits_of(base_model(dtype=torch.float64), ids))


def test_a_process_that_injected_nothing_reads_a_pickled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = memory_model(), text(LONG)
    wanted, saved = logits_of(model, ids), pickle.dumps(model)
    for registry in (ALL_ATTENTION_FUNCTIONS, ALL_MASK_ATTENTION_FUNCTIONS):
        monkeypatch.delitem(cast(Any, registry)._global_mapping, "infini_sdpa")
    assert torch.equal(logits_of(pickle.loads(saved), ids), wanted)


@pytest.mark.parametrize("family", ["gpt2", "opt", "biogpt"])
def test_segments_are_no_longer_than_learned_positions(family: str) -> None:
    model = tiny(family)
    inject(model, small_config(segment_length=64))
    assert logits_of(model, text(70)).isfinite().all()
    eject(model)
    with pytest.raises(UseError, match="64 positions"):
        inject(model, small_config(segment_length=65))


@pytest.mark.parametrize(
    "packed",
    [
        {"position_ids": torch.tensor([[0, 1, 2, 0, 1, 2]])},
        {"position_ids": torch.tensor([[0, 1, 2, 5, 6, 7]])},
        {"cu_seq_lens_q": torch.tensor([0, 3, 6])},
        {"seq_idx": torch.tensor([[0, 0, 0, 1, 1, 1]])},
    ],
)
def test_packed_texts_are_refused(packed: dict[str, Tensor]) -> None:
    with pytest.raises(UseError, match=r"position_ids|packs"):
        memory_model()(text(6), **packed)


def test_positions_that_go_on_are_taken() -> None:
    model, ids = memory_model(), text(LONG)
    cache, positions = new_cache(model), torch.arange(LONG)[None]
    whole = model(ids, position_ids=positions).logits
    first = model(ids[:, :9], position_ids=positions[:, :9], past_key_values=cache).logits
    with pytest.raises(UseError, match="position_ids"):
        model(ids[:, 9:], position_ids=positions[:, : LONG - 9], past_key_values=cache)
    rest = model(ids[:, 9:], position_ids=positions[:, 9:], past_key_values=cache).logits
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)


def eager(family: str = "llama") -> Model:
    base = base_model(family)
    base.set_attn_implementation("eager")
    return base


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_attention_weights_are_those_of_the_segments(family: str) -> None:
    base = eager(family)
    model, ids = with_path(base, gate_bias=-1e9), text(LONG)
    first = model(ids[:, :SEGMENT], output_attentions=True).attentions
    for ours, wanted in zip(first, base(ids[:, :SEGMENT], output_attentions=True).attentions, strict=True):
        assert torch.equal(ours, wanted)
    whole = model(ids, output_attentions=True, output_hidden_states=True)
    assert len(whole.attentions) == 2 and len(whole.hidden_states) == 3
    for weights in whole.attentions:
        assert weights.shape == (1, 4, LONG, LONG)
        torch.testing.assert_close(weights.sum(-1), torch.ones(1, 4, LONG))
        assert not weights[:, :, SEGMENT : 2 * SEGMENT, :SEGMENT].any()
    # A block is what the base gives for the segment alone, as far as the first layer goes: memory comes after it.
    alone = base(ids[:, SEGMENT : 2 * SEGMENT], output_attentions=True).attentions[0]
    torch.testing.assert_close(whole.attentions[0][:, :, SEGMENT : 2 * SEGMENT, SEGMENT : 2 * SEGMENT], alone)


@pytest.mark.parametrize("options", [{"return_dict": False}, {"output_hidden_states": True}, {"logits_to_keep": 2}])
def test_outputs_have_the_form_of_the_base(options: dict[str, Any]) -> None:
    base = base_model()
    model, ids = with_path(base), text(LONG)
    for one in (ids, ids[:, :5]):
        ours, wanted = model(one, **options), base(one, **options)
        assert type(ours) is type(wanted) and len(ours) == len(wanted)
        decoder, plain = (m.get_decoder()(one, return_dict=False) for m in (model, base))
        assert type(decoder) is type(plain) and len(decoder) == len(plain)


def test_experts_are_counted_over_segments() -> None:
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        bos_token_id=None,
        eos_token_id=None,
    )
    base = cast(Any, AutoModelForCausalLM).from_config(config).eval()
    model, ids = with_path(base, segment_length=64), text(40, batch=2)
    options: dict[str, Any] = {"labels": ids, "output_router_logits": True}
    wanted = base(ids, **options)
    assert torch.equal(model(ids, **options).aux_loss, wanted.aux_loss)
    eject(model)
    inject(model, small_config(gate_bias=-1e9))
    found = model(ids, **options)
    alone = [base(piece, output_router_logits=True) for piece in torch.split(ids, SEGMENT, 1)]
    for layer, ours in enumerate(found.router_logits):
        pieces = torch.cat([one.router_logits[layer].unflatten(0, (2, -1)) for one in alone], 1).flatten(0, 1)
        torch.testing.assert_close(ours, pieces)
    assert found.aux_loss.isfinite()


@pytest.mark.parametrize("family", ["bamba", "falcon_h1", "lfm2", "jamba"])
def test_hybrids_are_refused_whichever_layers_are_named(family: str) -> None:
    for layers in (None, (0,), (1,)):
        model = tiny(family)
        with pytest.raises(UseError, match="hybrid"):
            inject(model, small_config(layers=layers))
        assert injection(model) is None


def test_what_is_not_read_is_refused() -> None:
    model = memory_model()
    for ids in (text(0), text(4)[0]):
        with pytest.raises(UseError):
            model.get_decoder()(ids)
    with pytest.raises(UseError, match="padding"):
        model(text(4), attention_mask=torch.tensor([[0, 1, 1, 1]]))
    with pytest.raises(UseError, match="memory is off"), memory_off(model):
        model(text(4), past_key_values=new_cache(model))
    with pytest.raises(UseError) as raised:
        model(text(4), attention_mask=torch.zeros(1, 1, 4, 4))
    assert len(str(raised.value).splitlines()) == 2 and "hint: " in str(raised.value)


def test_attention_that_is_changed_later_is_refused() -> None:
    model = memory_model()
    model.set_attn_implementation("sdpa")
    with pytest.raises(UseError, match="after inject"):
        model(text(4))


@pytest.mark.parametrize("passes", range(5))
def test_a_reading_that_fails_leaves_the_cache_as_it_was(passes: int) -> None:
    model, ids = memory_model(**SEEN, reread_first=True), text(LONG)
    cache, wanted, seen = new_cache(model), logits_of(model, ids), []

    def fail(*args: Any) -> None:
        seen.append(1)
        if len(seen) > passes:
            raise RuntimeError("out of memory")

    logits_of(model, ids[:, :3], cache)
    handle = model.get_decoder().layers[1].mlp.register_forward_hook(fail)
    if passes < 4:
        with pytest.raises(RuntimeError, match="out of memory"):
            logits_of(model, ids[:, 3:], cache)
        assert cache.tokens == 3
        handle.remove()
        torch.testing.assert_close(logits_of(model, ids[:, 3:], cache), wanted[:, 3:])
    else:
        # Three segments, the first one read again.
        torch.testing.assert_close(logits_of(model, ids[:, 3:], cache), wanted[:, 3:])


@pytest.mark.parametrize("tokens", [LONG, 2 * SEGMENT])
@pytest.mark.parametrize("changes", [{}, SEEN, {"update_rule": "linear", "gate": "convex"}, {"reread_first": True}])
def test_gradient_checkpointing_changes_no_gradient(changes: dict[str, Any], tokens: int) -> None:
    model, ids = memory_model(**changes), text(tokens, batch=2)
    model.train()
    found = []
    for checkpointed in (False, True):
        if checkpointed:
            model.activation_checkpointing_enable()
        model.zero_grad()
        with sdpa_kernel(SDPBackend.MATH):
            output = model(ids, labels=ids)
            output.loss.backward()
        found.append(
            [output.loss.detach(), *(cast(Any, one.grad).clone() for one in memory_parameters(model).values())]
        )
    assert all(grad.any() for grad in found[0][1:]) or changes
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain)


def test_gradient_checkpointing_that_would_lose_something_is_refused() -> None:
    model = memory_model()
    model.train().activation_checkpointing_enable({"use_reentrant": True})
    model.enable_input_require_grads()
    with pytest.raises(UseError, match="reentrant"):
        model(text(LONG))
    model.activation_checkpointing_enable({"use_reentrant": False})
    cache = new_cache(model)
    model(text(5), past_key_values=cache)
    with pytest.raises(UseError, match="checkpointing"):
        model(text(2), past_key_values=cache)


def test_two_engines_in_two_threads_read_as_one_after_the_other() -> None:
    model = memory_model(segment_length=4)
    texts = [text(200, seed=seed)[0].tolist() for seed in (1, 2, 3)]
    engines = [Engine(model), Engine(model), Engine(model, use_memory=False)]

    def work(engine: Engine, ids: list[int]) -> list[int]:
        engine.read(ids)
        return list(engine.generate([4, 5], 12))

    wanted = [work(engine.fork(), ids) for engine, ids in zip(engines, texts, strict=True)]
    found: dict[int, Any] = {}

    def run(number: int) -> None:
        found[number] = work(engines[number], texts[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found.get(number) for number in range(3)] == wanted


def test_a_callback_that_raises_writes_nothing_twice() -> None:
    model, ids = memory_model(), text(3 * SEGMENT + 2)[0].tolist()

    def fail(tokens: int) -> None:
        raise KeyboardInterrupt

    engine, wanted = Engine(model), Engine(model)
    with pytest.raises(KeyboardInterrupt):
        engine.read(ids, fail)
    assert (engine.tokens_read, engine.cache.segments) == (len(ids), 1)
    engine.read([])
    wanted.read(ids)
    assert list(engine.generate([4], 9)) == list(wanted.generate([4], 9))


def bad_ids() -> Iterator[Any]:
    yield "a text"
    yield b"bytes"
    yield text(3)
    yield {"input_ids": [1, 2]}
    yield torch.tensor([0.5])
    yield [[1, 2]]
    yield [1, "2"]
    yield [VOCABULARY]
    yield [-1]


@pytest.mark.parametrize("ids", list(bad_ids()), ids=repr)
def test_what_is_no_list_of_tokens_is_refused(ids: Any) -> None:
    engine = Engine(memory_model())
    for use in (engine.read, lambda one: list(engine.generate(one, 3)), lambda one: engine.likelihoods([1], [one])):
        with pytest.raises(UseError):
            use(ids)
    assert engine.tokens_read == 0


def test_inject_freezes_the_base_and_eject_gives_it_back() -> None:
    model = base_model()
    model.lm_head.weight.requires_grad_(False)
    inject(model, small_config())
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained and all(".infini." in name for name in trained)
    eject(model)
    assert {name for name, one in model.named_parameters() if not one.requires_grad} == {"lm_head.weight"}


def test_a_compiled_forward_gives_the_same() -> None:
    base = base_model(layers=1)
    model, ids = with_path(base), text(SEGMENT + 3)
    for one in (base, model):
        compiled = torch.compile(copy.deepcopy(one), backend="eager")
        torch.testing.assert_close(logits_of(compiled, ids), logits_of(one, ids))


def test_what_is_wrapped_later_is_unwrapped_before_the_memory_is_taken_out() -> None:
    model, ids = memory_model(dtype=torch.float32), text(LONG)
    wanted, decoder = logits_of(model, ids), model.get_decoder()
    add_hook_to_module(decoder, ModelHook())
    assert torch.equal(logits_of(model, ids), wanted)
    with pytest.raises(UseError, match="wrapped"):
        eject(model)
    remove_hook_from_module(decoder)
    eject(model)
    assert torch.equal(logits_of(model, ids), logits_of(base_model(), ids))


@pytest.mark.parametrize("rule", RULES)
def test_autocast_leaves_memories_in_full_precision(rule: UpdateRule) -> None:
    model, ids = memory_model(dtype=torch.float32, update_rule=rule), text(LONG)
    cache = new_cache(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = logits_of(model, ids, cache)
        logits_of(model, ids[:, : SEGMENT - 5 - 1], cache)
        memory, write = cache.memories[1].memory, cache.memories[1].open_write()
        assert memory is not None and found.dtype == torch.bfloat16
        inside = update(rule, memory, write), retrieve(rule, memory, write.keys)
    outside = update(rule, memory, write), retrieve(rule, memory, write.keys)
    assert torch.equal(inside[0].matrix, outside[0].matrix) and torch.equal(inside[1], outside[1])
    assert memory.matrix.dtype == torch.float32
    torch.testing.assert_close(found.float(), logits_of(model, ids), rtol=0.1, atol=0.5)
