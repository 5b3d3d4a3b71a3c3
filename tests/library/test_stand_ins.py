"""Stand-ins for linear maps: products with weights in 8 bits and with adapters, compared with slow ones; what is read stays."""

from __future__ import annotations

import copy

import pytest
import torch
from infini_attention.errors import DeviceUnavailable
from infini_attention.memory.adapting import put_in_force
from infini_attention.memory.engine import IN_FULL, Engine
from infini_attention.memory.int8_weights import GROUP, Int8Weights, fits, supported
from infini_attention.memory.stand_ins import FLOAT32, INT8, stand_ins, standing_in, use_stand_ins
from infini_attention.model.device import Placement, choose_weights
from naive import eight_bit_product
from torch import nn

from models import Model, base_model, lora_of, memory_model, merged, text

needs_int8 = pytest.mark.skipif(not supported(), reason="this processor has no fast product for 8-bit weights")
PROMPT = text(20)[0].tolist()


def wide() -> Model:
    """A model some of whose maps have whole groups of outputs."""
    return memory_model(dtype=torch.float32, base={"hidden_size": GROUP, "intermediate_size": 2 * GROUP})


def packed_of(model: Model) -> list[nn.Module]:
    """The modules whose weights were made in 8 bits."""
    found = stand_ins(model)
    assert found is not None
    return [module for module, one in found.places(model) if one._packed is not None]


@needs_int8
@pytest.mark.parametrize("outputs", [GROUP, 9 * GROUP])
@pytest.mark.parametrize("inputs", [1, 7, 96])
def test_the_product_is_that_of_rounded_weights(outputs: int, inputs: int) -> None:
    generator = torch.Generator().manual_seed(outputs + inputs)
    weight, token = (torch.randn(*size, generator=generator) for size in ((outputs, inputs), (inputs,)))
    found = Int8Weights(weight).product(token)
    torch.testing.assert_close(found, eight_bit_product(weight, token, GROUP), rtol=1e-3, atol=1e-3)
    error = (found - weight @ token).norm() / (weight @ token).norm()
    assert error < 0.02


@pytest.mark.parametrize(
    "weight",
    [torch.zeros(GROUP + 1, 8), torch.zeros(GROUP, 8, dtype=torch.bfloat16), torch.zeros(GROUP, 8, device="meta")],
)
def test_what_does_not_fit_stays_as_it_is(weight: torch.Tensor) -> None:
    assert not fits(weight)


@torch.inference_mode()
def test_with_an_adapter_the_model_is_what_it_is_without_stand_ins() -> None:
    model = base_model("qwen2")
    adapter = lora_of(model).ready()
    ids = text(9)
    with adapter.in_force():
        plain = model(ids).logits
        use_stand_ins(model, FLOAT32)
        with standing_in(model):
            found = model(ids).logits
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)
    expected = merged(copy.deepcopy(base_model("qwen2")), adapter)(ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    without = base_model("qwen2")(ids).logits
    put_in_force(model, None)
    with standing_in(model):
        assert torch.equal(model(ids).logits, without)


@needs_int8
def test_single_tokens_are_multiplied_with_weights_in_8_bits() -> None:
    linear = nn.Linear(16, GROUP)
    model = nn.Sequential(linear).eval().requires_grad_(False)
    use_stand_ins(model, INT8)  # type: ignore[arg-type]
    token = torch.randn(1, 1, 16)
    with torch.inference_mode(), standing_in(model, single=True):
        found = model(token)
        many = model(token.expand(1, 3, 16))
    weight = linear.weight.detach().clone()
    expected = eight_bit_product(weight, token.view(-1), GROUP) + linear.bias
    torch.testing.assert_close(found.view(-1), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(many, model(token.expand(1, 3, 16)))
    linear.weight.data.zero_()
    linear.weight.add_(2 * weight)
    with torch.inference_mode(), standing_in(model, single=True):
        changed = model(token)
    torch.testing.assert_close(changed - linear.bias, 2 * (found - linear.bias), rtol=1e-3, atol=1e-3)


@needs_int8
def test_answers_use_them_after_their_first_tokens_and_reading_never_does() -> None:
    model, plain = wide(), wide()
    use_stand_ins(model, INT8)
    engine, other = Engine(model), Engine(plain)
    ids = text(3 * engine.config.segment_length)[0].tolist()
    for one in (engine, other):
        one.read(ids)
        one.close()
    before = list(engine.generate(PROMPT, IN_FULL + 1))
    assert before == list(other.generate(PROMPT, IN_FULL + 1))
    assert not packed_of(model)
    assert len(list(engine.generate(PROMPT, IN_FULL + 4))) == IN_FULL + 4
    assert packed_of(model)
    for one in (engine, other):
        one.read(ids)
        one.close()
    for index, layer in engine.cache.memories.items():
        expected = other.cache.memories[index].memory
        assert layer.memory is not None and expected is not None
        assert torch.equal(layer.memory.matrix, expected.matrix)
    assert all("forward" not in module.__dict__ for module in model.model.layers.modules())


@needs_int8
def test_an_adapter_has_weights_of_its_own_until_it_goes() -> None:
    model = wide()
    use_stand_ins(model, INT8)
    engine = Engine(model, use_memory=False)
    engine.adapter = adapter = lora_of(model).ready()
    answer = list(engine.generate(PROMPT, IN_FULL + 6))
    put_in_force(model, adapter)
    own = packed_of(model)
    put_in_force(model, None)
    assert own and not packed_of(model)
    assert list(engine.generate(PROMPT, IN_FULL + 6)) == answer
    found = stand_ins(model)
    assert found is not None
    # Switched by hand, and taken out.
    model.enable_adapters()
    assert len(packed_of(model)) == len(own)
    model.delete_adapter("reader")
    found.look_again()
    assert not packed_of(model)
    copied = copy.deepcopy(model)
    assert stand_ins(copied) is not stand_ins(model)


def test_weights_are_chosen_for_a_processor_in_float32() -> None:
    cpu = Placement(torch.device("cpu"), torch.float32, "")
    others = [Placement(torch.device("cpu"), torch.bfloat16, ""), Placement(torch.device("cuda"), torch.float32, "")]
    assert choose_weights("auto", cpu) == (INT8 if supported() else FLOAT32)
    assert choose_weights(FLOAT32, cpu) == FLOAT32
    for place in others:
        assert choose_weights("auto", place) is None
        assert choose_weights(FLOAT32, place) is None
        with pytest.raises(DeviceUnavailable):
            choose_weights(INT8, place)
    with pytest.raises(DeviceUnavailable):
        choose_weights("int3", cpu)
