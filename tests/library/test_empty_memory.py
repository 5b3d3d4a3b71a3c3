"""An empty memory adds nothing: the base's logits bit for bit, and the base itself when the path is taken out."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from infini_attention.memory.inject import eject, inject, injection, memory_off, new_cache
from infini_attention.memory.parameters import copy_weights, memory_parameters
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

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
    small_config,
    text,
    with_path,
)


def hooks(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if module._forward_hooks or module._forward_pre_hooks]


def attentions(model: Model) -> Iterator[nn.Module]:
    return (layer.self_attn for layer in decoder_of(model).layers)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gate", GATES)
def test_the_first_segment_has_the_logits_of_the_base_bit_for_bit(family: str, rule: str, gate: str) -> None:
    base = base_model(family)
    model = with_path(base, update_rule=rule, gate=gate)
    for tokens in (1, SEGMENT - 3, SEGMENT):
        ids = text(tokens, batch=2)
        assert torch.equal(logits_of(model, ids), logits_of(base, ids))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gate", GATES)
def test_the_first_segment_has_the_bits_of_a_bfloat16_base(rule: str, gate: str) -> None:
    base = base_model(dtype=torch.bfloat16)
    model = with_path(base, update_rule=rule, gate=gate)
    ids = text(SEGMENT, batch=2)
    assert torch.equal(logits_of(model, ids), logits_of(base, ids))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_first_segment_in_pieces_has_the_bits_of_the_base_in_pieces(family: str) -> None:
    base = base_model(family)
    model = with_path(base)
    ids, cache, base_cache = text(SEGMENT), new_cache(model), None
    for start, end in ((0, 3), (3, 4), (4, 7)):
        with torch.no_grad():
            wanted = base(input_ids=ids[:, start:end], past_key_values=base_cache, use_cache=True)
        base_cache = wanted.past_key_values
        assert torch.equal(logits_of(model, ids[:, start:end], cache), wanted.logits)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rule", RULES)
def test_ejecting_gives_the_base_back_bit_for_bit(family: str, rule: str) -> None:
    base = base_model(family)
    model = with_path(base, update_rule=rule)
    ids = text(3 * SEGMENT)
    logits_of(model, ids)
    assert hooks(model)
    eject(model)
    assert injection(model) is None
    assert hooks(model) == []
    assert "forward" not in vars(decoder_of(model))
    assert not any(hasattr(a, "infini") or hasattr(a, "_infini_tap") for a in attentions(model))
    assert {name for name, _ in model.named_parameters()} == {name for name, _ in base.named_parameters()}
    assert model.config._attn_implementation == base.config._attn_implementation
    assert torch.equal(logits_of(model, ids), logits_of(base, ids))
    generated = [m.generate(ids, max_new_tokens=5, do_sample=False) for m in (model, base)]
    assert torch.equal(*generated)


def test_ejecting_gives_an_eager_base_its_own_attention_back() -> None:
    base = base_model()
    base.set_attn_implementation("eager")
    model = copy.deepcopy(base)
    inject(model, small_config())
    eject(model)
    assert model.config._attn_implementation == "eager"
    ids = text(2 * SEGMENT)
    assert torch.equal(logits_of(model, ids), logits_of(base, ids))


def test_ejecting_twice_or_from_a_plain_base_does_nothing() -> None:
    model = base_model()
    eject(model)
    assert injection(model) is None


def test_a_path_can_be_put_in_again_after_ejecting() -> None:
    model = memory_model()
    ids = text(3 * SEGMENT)
    before, tensors = logits_of(model, ids), {k: v.detach().clone() for k, v in memory_parameters(model).items()}
    eject(model)
    inject(model, small_config())
    assert not torch.equal(logits_of(model, ids), before)
    copy_weights(tensors, memory_parameters(model), "the adapter")
    assert torch.equal(logits_of(model, ids), before)


def test_memory_off_is_the_base_bit_for_bit_and_ends_with_its_block() -> None:
    base = base_model()
    model = with_path(base)
    ids = text(3 * SEGMENT)
    wanted = logits_of(base, ids)
    with memory_off(model):
        assert torch.equal(logits_of(model, ids), wanted)
        with torch.no_grad():
            assert not hasattr(model(input_ids=ids, use_cache=True).past_key_values, "memories")
        generated = model.generate(ids, max_new_tokens=4, do_sample=False)
    assert torch.equal(generated, base.generate(ids, max_new_tokens=4, do_sample=False))
    assert not torch.equal(logits_of(model, ids), wanted)
    with pytest.raises(RuntimeError, match="out"), memory_off(model):
        raise RuntimeError("out")
    record = injection(model)
    assert record is not None and record.enabled


def test_memory_off_leaves_a_plain_base_alone() -> None:
    base = base_model()
    with memory_off(base):
        assert logits_of(base, text(3)).shape == (1, 3, base.config.vocab_size)


def test_an_untrained_path_is_the_same_in_every_process() -> None:
    first, second = base_model(), base_model()
    torch.manual_seed(1)
    inject(first, small_config())
    torch.manual_seed(2)
    inject(second, small_config())
    pairs = zip(memory_parameters(first).values(), memory_parameters(second).values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_second_path_is_refused() -> None:
    model = memory_model()
    with pytest.raises(ValueError, match="already"):
        inject(model, small_config())


def test_layers_that_the_base_does_not_have_are_refused_and_leave_it_untouched() -> None:
    model = base_model()
    with pytest.raises(ValueError, match="2 layers"):
        inject(model, small_config(layers=(0, 2)))
    assert injection(model) is None and hooks(model) == []


def test_an_adapter_of_other_names_or_shapes_is_refused() -> None:
    model = memory_model()
    tensors = {name: parameter.detach().clone() for name, parameter in memory_parameters(model).items()}
    with pytest.raises(ValueError, match="does not fit"):
        copy_weights({**tensors, "layers.9.down": tensors["layers.0.down"]}, memory_parameters(model), "the adapter")
    with pytest.raises(ValueError, match=r"layers\.1\.key_up"):
        copy_weights({**tensors, "layers.1.key_up": torch.zeros(1, 1)}, memory_parameters(model), "the adapter")


def test_what_needs_a_path_says_so_on_a_plain_base() -> None:
    for function in (new_cache, memory_parameters):
        with pytest.raises(ValueError, match="no memory path"):
            function(base_model())


def test_the_attention_function_is_registered_once_for_all_models() -> None:
    memory_model()
    names = [name for name in ALL_ATTENTION_FUNCTIONS.valid_keys() if name.startswith("infini_")]
    memory_model()
    assert names == [name for name in ALL_ATTENTION_FUNCTIONS.valid_keys() if name.startswith("infini_")]
    assert not any(name.startswith("infini_infini_") for name in names)
