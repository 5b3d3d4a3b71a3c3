"""The memory rules against token-by-token references: value, final state, gradient, splits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import naive
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.memory.config import UpdateRule
from infini_attention.memory.rules import (
    Memory,
    Write,
    empty_memory,
    feature_map,
    retrieve,
    transition,
    unit_norm,
    update,
)
from torch import Tensor

from models import RULES

EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-10}


Pack = TypeVar("Pack", Memory, Write)


class Sizes(NamedTuple):
    batch: int
    heads: int
    group: int
    tokens: int
    key: int
    value: int
    seed: int


sizes = st.builds(
    Sizes,
    batch=st.integers(1, 2),
    heads=st.integers(1, 3),
    group=st.integers(1, 3),
    tokens=st.sampled_from([0, 1, 2, 5, 63, 64, 65, 130]),
    key=st.integers(1, 5),
    value=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
rules = st.sampled_from(RULES)


def draw(rule: UpdateRule, s: Sizes, dtype: torch.dtype = torch.float64) -> tuple[Memory, Write, Tensor]:
    """A memory that holds something, a write and queries, all leaves that want gradients."""
    generator = torch.Generator().manual_seed(s.seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    def between(low: float, high: float, *shape: int) -> Tensor:
        drawn = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
        return drawn.to(dtype).requires_grad_()

    matrix = normal(s.batch, s.heads, s.key, s.value)
    keys, values = normal(s.batch, s.heads, s.tokens, s.key), normal(s.batch, s.heads, s.tokens, s.value)
    queries = normal(s.batch, s.heads * s.group, 3, s.key)
    if rule == "deltanet":
        beta = between(0.01, 0.99, s.batch, s.heads, s.tokens)
        g = between(-1.5, -1e-6, s.batch, s.heads, s.tokens)
        return Memory(matrix, None), Write(keys, values, beta, g), queries
    return Memory(matrix, between(0.5, 3.0, s.batch, s.heads, s.key)), Write(keys, values), queries


def tensors(pack: Memory | Write) -> list[Tensor]:
    return [tensor for tensor in pack if tensor is not None]


def mapped(pack: Pack, change: Callable[[Tensor], Tensor]) -> Pack:
    """The same memory or write with every tensor changed."""
    changed: list[Any] = [None if tensor is None else change(tensor) for tensor in pack]
    return type(pack)(*changed)


def probe(outputs: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Gradients of a sum that weighs every output differently."""
    total = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for number, output in enumerate(outputs):
        weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape)
        total = total + (weights * (output + 0.1 * output**2)).sum() * (number + 1)
    return list(torch.autograd.grad(total, inputs, materialize_grads=True))


def assert_close(ours: list[Tensor], wanted: list[Tensor]) -> None:
    assert len(ours) == len(wanted)
    for left, right in zip(ours, wanted, strict=True):
        torch.testing.assert_close(left, right, **EXACT)


@given(rules, sizes)
def test_update_and_retrieve_give_the_value_state_and_gradient_of_the_naive_loops(rule: UpdateRule, s: Sizes) -> None:
    memory, write, queries = draw(rule, s)
    ours = update(rule, memory, write)
    wanted = naive.update(rule, memory, write)
    assert_close(tensors(ours), tensors(wanted))
    read, wanted_read = retrieve(rule, ours, queries), naive.retrieve(rule, wanted, queries)
    assert read.shape == (s.batch, s.heads * s.group, 3, s.value)
    assert_close([read], [wanted_read])
    leaves = [*tensors(memory), *tensors(write), queries]
    assert_close(probe([read, *tensors(ours)], leaves), probe([wanted_read, *tensors(wanted)], leaves))


@given(rules, sizes)
def test_the_first_update_starts_from_an_empty_memory(rule: UpdateRule, s: Sizes) -> None:
    _, write, queries = draw(rule, s)
    empty = empty_memory(rule, write)
    assert all(not tensor.any() for tensor in tensors(empty))
    ours, wanted = update(rule, empty, write), naive.update(rule, empty, write)
    assert_close(tensors(ours), tensors(wanted))
    leaves = tensors(write)
    assert_close(probe(tensors(ours), leaves), probe(tensors(wanted), leaves))
    assert_close(
        [retrieve(rule, ours, queries)],
        [naive.retrieve(rule, wanted, queries)],
    )


@given(st.sampled_from(["linear", "deltanet"]), sizes, st.data())
def test_writing_two_parts_equals_writing_the_whole(rule: UpdateRule, s: Sizes, data: st.DataObject) -> None:
    memory, write, _ = draw(rule, s)
    cut = data.draw(st.integers(0, s.tokens))
    first = mapped(write, lambda x: x[:, :, :cut])
    second = mapped(write, lambda x: x[:, :, cut:])
    parts = update(rule, update(rule, memory, first), second)
    assert_close(tensors(parts), tensors(update(rule, memory, write)))


@given(sizes)
def test_a_transition_is_the_update_of_any_memory(s: Sizes) -> None:
    memory, write, _ = draw("deltanet", s)
    after = transition(write).apply(memory.matrix)
    wanted = naive.update("deltanet", memory, write)
    assert_close([after], [wanted.matrix])
    leaves = [*tensors(memory), *tensors(write)]
    assert_close(probe([after], leaves), probe([wanted.matrix], leaves))


@given(sizes, st.integers(1, 9))
def test_a_transition_many_times_is_as_many_updates(s: Sizes, times: int) -> None:
    memory, write, _ = draw("deltanet", s)
    after = memory
    for _ in range(times):
        after = update("deltanet", after, write)
    assert_close([transition(write).times(times).apply(memory.matrix)], [after.matrix])


def test_a_transition_moves_down_the_batch_with_its_maps() -> None:
    memory, write, _ = draw("deltanet", Sizes(3, 2, 1, 5, 4, 3, 0))
    moved = mapped(write, lambda x: x.roll(1, 0))
    assert_close([transition(write).roll(4).apply(memory.matrix)], [update("deltanet", memory, moved).matrix])


@pytest.mark.parametrize("rule", ["linear", "delta"])
def test_the_papers_rules_have_no_transition(rule: UpdateRule) -> None:
    _, write, _ = draw(rule, Sizes(1, 1, 1, 4, 3, 2, 0))
    with pytest.raises(ValueError, match="deltanet"):
        transition(write)


def test_delta_takes_one_difference_for_the_whole_segment_so_parts_are_not_the_whole() -> None:
    memory, write, _ = draw("delta", Sizes(1, 1, 1, 6, 4, 3, 0))
    first, second = (Write(write.keys[:, :, span], write.values[:, :, span]) for span in (slice(3), slice(3, None)))
    parts = update("delta", update("delta", memory, first), second)
    assert not torch.allclose(parts.matrix, update("delta", memory, write).matrix)


@pytest.mark.parametrize("rule", RULES)
def test_writing_nothing_changes_nothing(rule: UpdateRule) -> None:
    memory, write, _ = draw(rule, Sizes(2, 2, 2, 0, 4, 3, 0))
    after = update(rule, memory, write)
    assert all(torch.equal(a, b) for a, b in zip(tensors(after), tensors(memory), strict=True))


@pytest.mark.parametrize("rule", RULES)
def test_no_function_changes_its_arguments(rule: UpdateRule) -> None:
    memory, write, queries = draw(rule, Sizes(1, 2, 2, 65, 4, 3, 0))
    before = [tensor.detach().clone() for tensor in (*tensors(memory), *tensors(write), queries)]
    retrieve(rule, update(rule, memory, write), queries)
    after = (*tensors(memory), *tensors(write), queries)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_writes_are_accumulated_in_float32(rule: UpdateRule, half: torch.dtype) -> None:
    memory, write, queries = draw(rule, Sizes(1, 2, 2, 70, 4, 3, 0), half)
    start = mapped(memory, lambda x: x.float())
    after = update(rule, start, write)
    assert {tensor.dtype for tensor in tensors(after)} == {torch.float32}
    assert {tensor.dtype for tensor in tensors(empty_memory(rule, write))} == {torch.float32}
    assert retrieve(rule, after, queries).dtype == torch.float32
    exact = mapped(write, lambda x: x.double())
    wanted = naive.update(rule, mapped(start, lambda x: x.double()), exact)
    for ours, reference in zip(tensors(after), tensors(wanted), strict=True):
        torch.testing.assert_close(ours.double(), reference, rtol=1e-4, atol=1e-4)


def test_a_query_head_reads_the_memory_of_its_own_kv_head_not_of_every_other() -> None:
    # Six query heads on three KV heads: 0 0 1 1 2 2. ``repeat`` in place of ``repeat_interleave`` gives 0 1 2 0 1 2.
    heads = torch.arange(3.0).reshape(1, 3, 1, 1).expand(1, 3, 4, 5)
    memory = Memory(heads.contiguous(), None)
    queries = torch.zeros(1, 6, 2, 4)
    queries[..., 0] = 1
    assert retrieve("deltanet", memory, queries)[0, :, 0, 0].tolist() == [0, 0, 1, 1, 2, 2]
    normalised = Memory(heads.contiguous(), torch.ones(1, 3, 4))
    torch.testing.assert_close(retrieve("linear", normalised, queries)[0, :, 0, 0], torch.tensor([0.0, 0, 1, 1, 2, 2]))


def test_the_first_delta_segment_has_finite_gradients_whatever_flows_back() -> None:
    write = Write(torch.randn(1, 1, 4, 3, requires_grad=True), torch.randn(1, 1, 4, 2, requires_grad=True))
    after = update("delta", empty_memory("delta", write), write)
    for gradient in torch.autograd.grad(1e4 * after.matrix.sum(), [write.keys, write.values]):
        assert gradient.isfinite().all()


def test_reading_an_empty_memory_gives_nothing_and_no_nan() -> None:
    for rule in RULES:
        write = Write(torch.randn(1, 2, 4, 3), torch.randn(1, 2, 4, 2))
        assert not retrieve(rule, empty_memory(rule, write), torch.randn(1, 4, 5, 3)).any()


def test_strong_decay_over_many_tokens_neither_overflows_nor_loses_the_gradient() -> None:
    memory, write, _ = draw("deltanet", Sizes(1, 1, 1, 130, 4, 3, 0), torch.float32)
    assert write.g is not None
    fierce = write._replace(g=torch.full_like(write.g, -60.0).requires_grad_())
    after = update("deltanet", memory, fierce)
    assert after.matrix.isfinite().all()
    gradients = torch.autograd.grad(after.matrix.sum(), tensors(fierce))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0][:, :, -1].any()


def test_repeated_keys_stay_bounded_under_deltanet() -> None:
    # The system of a chunk is at its worst when all keys are one.
    keys, values = torch.ones(1, 1, 4096, 8), torch.randn(1, 1, 4096, 4)
    ones = torch.ones(1, 1, 4096)
    write = Write(keys, values, 0.999 * ones, 0 * ones)
    memory = update("deltanet", empty_memory("deltanet", write), write)
    read = retrieve("deltanet", memory, keys[:, :, :1])[0, 0, 0]
    torch.testing.assert_close(read, 0.999 * values[0, 0, -1] + 0.001 * values[0, 0, -2], atol=2e-3, rtol=0)


def test_deltanet_without_beta_or_g_is_refused() -> None:
    write = Write(torch.randn(1, 1, 2, 3), torch.randn(1, 1, 2, 3))
    with pytest.raises(ValueError, match="beta and g"):
        update("deltanet", empty_memory("deltanet", write), write)


def test_maps_are_what_they_say() -> None:
    x = torch.linspace(-20, 20, 41, dtype=torch.float64)
    torch.testing.assert_close(feature_map(x), naive.sigma(x))
    rows = torch.randn(5, 3)
    rows[2] = 0
    torch.testing.assert_close(unit_norm(rows).norm(dim=-1), torch.tensor([1.0, 1, 0, 1, 1]))


@given(sizes)
def test_deltanet_agrees_with_the_gated_delta_rules_of_transformers(s: Sizes) -> None:
    qwen = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")
    memory, write, _ = draw("deltanet", s._replace(tokens=max(1, s.tokens)), torch.float32)
    assert write.beta is not None and write.g is not None
    generator = torch.Generator().manual_seed(s.seed)
    queries = torch.randn(write.keys.shape, generator=generator)
    # Theirs are [B, T, H, D], normalise as told, scale queries by 1/sqrt(D) and read after the token was written.
    # Their norm adds 1e-6 under the root, which shows in short rows; rows of length one are the same to both.
    rows = (unit_norm(queries), unit_norm(write.keys), write.values, write.g, write.beta)
    theirs = [x.detach().transpose(1, 2) for x in rows]
    ours = update("deltanet", memory, write)
    last = retrieve("deltanet", ours, queries[:, :, -1:])
    for rule in (qwen.torch_chunk_gated_delta_rule, qwen.torch_recurrent_gated_delta_rule):
        output, state = rule(
            *theirs, initial_state=memory.matrix.detach(), output_final_state=True, use_qk_l2norm_in_kernel=True
        )
        torch.testing.assert_close(ours.matrix, state, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(last[:, :, 0], output[:, -1] * s.key**0.5, rtol=1e-3, atol=1e-3)
