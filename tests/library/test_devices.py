"""What a device computes against the processor's reference, and states that go from one device to another.

Devices are the processor and whatever accelerators are there; where `fla-core` is installed, CUDA's fused kernel is among what
is compared.
"""

from __future__ import annotations

from typing import Any

import naive
import pytest
import torch
from infini_attention.memory import kernels, rules
from infini_attention.memory.config import UpdateRule
from infini_attention.memory.engine import Engine
from infini_attention.memory.parameters import memory_parameters
from infini_attention.memory.rules import Memory, Write
from infini_attention.train.rollout import Rollout
from infini_attention.train.segments import Segment
from torch import Tensor

from models import DEVICES, ORIGIN, RULES, SEGMENT, memory_model, text

# Share of the largest value that a result may be off, by precision of what is written.
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 3e-2}


def drawn(rule: UpdateRule, dtype: torch.dtype) -> tuple[Memory, Write, Tensor]:
    """A memory, a write of two chunks and a half, and queries: rounded as the model would have them."""
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    memory = Memory(normal(2, 3, 16, 8), None if rule == "deltanet" else 1 + torch.rand(2, 3, 16, generator=generator))
    keys, values, queries = (x.to(dtype) for x in (normal(2, 3, 160, 16), normal(2, 3, 160, 8), normal(2, 6, 4, 16)))
    if rule != "deltanet":
        return memory, Write(keys, values), queries
    # So gentle that something is left of the memory before, and its gradient more than noise.
    return memory, Write(keys, values, normal(2, 3, 160).sigmoid(), -normal(2, 3, 160).sigmoid() / 50), queries


def computed(
    rules: Any, rule: UpdateRule, given: tuple[Memory, Write, Tensor], device: str, dtype: torch.dtype | None = None
) -> list[Tensor]:
    """What is read, the memory after, and the gradients of all that was given, on a device and in a precision."""

    def leaf(tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.to(device, dtype or tensor.dtype).detach().requires_grad_()

    memory, write, queries = Memory(*map(leaf, given[0])), Write(*map(leaf, given[1])), leaf(given[2])
    after = rules.update(rule, memory, write)
    read = rules.retrieve(rule, after, queries)
    torch.autograd.backward([read.float().square().mean() + after.matrix.float().square().mean()])
    gradients = [x.grad for x in (*memory, *write, queries) if x is not None]
    assert all(gradient is not None for gradient in gradients)
    return [read.detach(), *(x.detach() for x in after if x is not None), *gradients]


def assert_near(ours: Tensor, wanted: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(ours.cpu().double(), wanted, rtol=0, atol=tolerance * float(wanted.abs().max()))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("device", DEVICES)
def test_a_rule_on_a_device_is_the_reference(
    device: str, rule: UpdateRule, dtype: torch.dtype, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = drawn(rule, dtype)
    if not fused:
        monkeypatch.setattr(kernels, "_chunk_gated_delta_rule", lambda: None)
    elif rule != "deltanet" or not kernels.fits(given[1].keys.to(device)):
        pytest.skip("no fused kernel for that")
    found, wanted = computed(rules, rule, given, device), computed(naive, rule, given, "cpu", torch.float64)
    for ours, theirs in zip(found, wanted, strict=True):
        assert_near(ours, theirs, TOLERANCES[dtype])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("device", DEVICES)
def test_training_on_a_device_has_the_processors_gradients(device: str, rule: UpdateRule) -> None:
    def trained(where: str) -> dict[str, Tensor]:
        model = memory_model(update_rule=rule, dtype=torch.float32).to(where)
        model.requires_grad_(False)
        parameters = memory_parameters(model)
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        ids = text(3 * SEGMENT + 1, batch=2).to(where)
        segments = [Segment(ids[:, s : s + SEGMENT], None) for s in (0, SEGMENT)]
        segments.append(Segment(ids[:, 2 * SEGMENT : -1], ids[:, 2 * SEGMENT + 1 :]))
        loss = Rollout(model)(segments).loss
        loss.backward()
        gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        return {"loss": loss.detach(), **gradients}

    found, wanted = trained(device), trained("cpu")
    assert found.keys() == wanted.keys() and len(found) > 10
    for name, tensor in wanted.items():
        assert_near(found[name], tensor.double(), 1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_documents_side_by_side_on_a_device_leave_what_they_leave_on_the_processor(device: str) -> None:
    def engine(where: str) -> Engine:
        beside: dict[str, Any] = {
            "ngrams": (2, 3),
            "key_state_layers": (1,),
            "value_state_layers": (0,),
            "reread_first": True,
        }
        return Engine(memory_model(dtype=torch.float32, **beside).to(where))

    documents = [text(tokens, seed=tokens)[0] for tokens in (7 * SEGMENT + 1, 9 * SEGMENT)]
    alone = engine("cpu")
    for document, found in zip(documents, engine(device).read_each(documents), strict=True):
        alone.reset()
        alone.read(document)
        ours, theirs = found.snapshot(ORIGIN), alone.snapshot(ORIGIN)
        assert (ours.tokens, ours.segments) == (theirs.tokens, theirs.segments)
        for name, tensor in theirs.tensors.items():
            torch.testing.assert_close(ours.tensors[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
