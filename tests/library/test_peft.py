"""Adapters of peft beside a memory: put in before it or after it, merged, taken out, and trained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from infini_attention.memory.inject import eject, inject, injection, new_cache
from infini_attention.memory.parameters import copy_weights, memory_parameters
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor

from models import SEGMENT, Model, base_model, logits_of, memory_model, small_config, text

IDS = text(2 * SEGMENT + 5, batch=2)
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7}
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"]


def lora(model: Model, **options: Any) -> Model:
    """The model with an adapter that shows."""
    adapted: Any = get_peft_model(model, LoraConfig(r=3, target_modules=PROJECTIONS, **options))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if ".lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) / 5)
    return adapted.eval()


def base() -> Model:
    return base_model(dtype=torch.float64)


def memory() -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in memory_parameters(memory_model()).items()}


def wanted_logits() -> Tensor:
    """Of a base whose adapter was merged before it was given a memory."""
    merged = lora(base()).merge_and_unload()
    inject(merged, small_config())
    copy_weights(memory(), memory_parameters(merged), "the memory")
    return logits_of(merged, IDS)


def adapted(before: bool) -> Model:
    """A model with both; the adapter was there before the memory, or came after it."""
    if before:
        model = lora(base())
        inject(model, small_config())
        copy_weights(memory(), memory_parameters(model), "the memory")
        return model
    return lora(memory_model())


@pytest.mark.parametrize("before", [True, False])
def test_the_memory_sees_what_an_adapter_changes(before: bool) -> None:
    model, wanted = adapted(before), wanted_logits()
    assert not torch.allclose(wanted, logits_of(memory_model(), IDS), atol=1e-2)
    torch.testing.assert_close(logits_of(model, IDS), wanted, **CLOSE)
    with model.disable_adapter():
        torch.testing.assert_close(logits_of(model, IDS), logits_of(memory_model(), IDS), **CLOSE)
    cache = new_cache(model)
    first = logits_of(model, IDS[:, :7], cache)
    torch.testing.assert_close(torch.cat([first, logits_of(model, IDS[:, 7:], cache)], 1), wanted, **CLOSE)
    whole = model.generate(IDS, max_new_tokens=4, do_sample=False)
    merged = model.merge_and_unload()
    torch.testing.assert_close(logits_of(merged, IDS), wanted, **CLOSE)
    assert torch.equal(merged.generate(IDS, max_new_tokens=4, do_sample=False), whole)
    eject(merged)
    torch.testing.assert_close(logits_of(merged, IDS), logits_of(lora(base()).merge_and_unload(), IDS), **CLOSE)


@pytest.mark.parametrize("before", [True, False])
def test_an_adapter_that_is_taken_out_leaves_the_memory(before: bool) -> None:
    model = adapted(before)
    logits_of(model, IDS)
    torch.testing.assert_close(logits_of(model.unload(), IDS), logits_of(memory_model(), IDS), **CLOSE)


def gradients(model: Model) -> dict[str, Tensor]:
    model.zero_grad()
    model(IDS, labels=IDS).loss.backward()
    return {name.split("layers.")[-1]: one.grad for name, one in model.named_parameters() if ".lora_" in name}


def test_an_adapter_learns_through_the_memory_whichever_was_first() -> None:
    first, second, plain = gradients(adapted(True)), gradients(adapted(False)), gradients(lora(base()))
    assert len(first) == 20 and first.keys() == second.keys() == plain.keys()
    for name, gradient in first.items():
        torch.testing.assert_close(second[name], gradient, **CLOSE)
        assert gradient.any() and not torch.allclose(gradient, plain[name], atol=1e-6)


def test_a_memory_that_peft_trains_is_the_one_in_use(tmp_path: Path) -> None:
    model = lora(memory_model(), modules_to_save=["infini"])
    assert all(one.requires_grad for one in memory_parameters(model).values())
    before = logits_of(model, IDS)
    torch.testing.assert_close(before, wanted_logits(), **CLOSE)
    model(IDS, labels=IDS).loss.backward()
    assert all(one.grad is not None for one in memory_parameters(model).values())
    with torch.no_grad():
        for one in memory_parameters(model).values():
            assert one.grad is not None
            one.sub_(one.grad)
    after = logits_of(model, IDS)
    assert not torch.allclose(after, before, atol=1e-3)
    with model.disable_adapter():
        torch.testing.assert_close(logits_of(model, IDS), logits_of(memory_model(), IDS), **CLOSE)
    model.save_pretrained(tmp_path)
    again: Any = PeftModel.from_pretrained(memory_model(), tmp_path)
    torch.testing.assert_close(logits_of(again.eval(), IDS), after, **CLOSE)
    other = copy.deepcopy(again)
    torch.testing.assert_close(logits_of(other, IDS), after, **CLOSE)
    eject(model)
    assert injection(model) is None
    torch.testing.assert_close(logits_of(model, IDS), logits_of(lora(base()), IDS), **CLOSE)
