"""How strong and how full the memories of a state are."""

from __future__ import annotations

import naive
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.memory.engine import Engine
from infini_attention.memory.occupancy import fullness, occupancy
from infini_attention.memory.state import MemoryState

from models import ORIGIN, RULES, SEGMENT, memory_model, text


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31), st.sampled_from([1e-30, 1.0, 1e30]))
def test_fullness_is_that_of_the_singular_values(rows: int, columns: int, seed: int, scale: float) -> None:
    matrix = torch.randn(2, rows, columns, generator=torch.Generator().manual_seed(seed)) * scale
    found = fullness(matrix)
    assert found.tolist() == pytest.approx([naive.fullness(one) for one in matrix], rel=1e-9)
    torch.testing.assert_close(fullness(matrix.mT), found)


@given(st.integers(1, 8), st.floats(0.1, 10))
def test_orthogonal_associations_fill_a_share_each(count: int, strength: float) -> None:
    basis = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(count))).Q
    matrix = strength * basis[:, :count] @ torch.eye(8)[:count]
    assert float(fullness(matrix)) == pytest.approx(count / 8, rel=1e-5)


def test_nothing_fills_nothing() -> None:
    assert fullness(torch.zeros(3, 4, 5)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("rule", RULES)
def test_every_layer_and_head_of_a_state(rule: str) -> None:
    engine = Engine(memory_model(dtype=torch.float32, update_rule=rule, layers=(0, 1)))
    engine.read(text(3 * SEGMENT + 2)[0])
    state = engine.snapshot(ORIGIN)
    held = occupancy(state)
    assert held.layers == (0, 1) and held.norms.shape == held.fullness.shape == (2, 2)
    for row, layer in enumerate(held.layers):
        for head in range(2):
            matrix = state.tensors[f"layers.{layer}.matrix"][0, head]
            assert float(held.norms[row, head]) == pytest.approx(float(matrix.square().sum().sqrt()), rel=1e-5)
            assert float(held.fullness[row, head]) == pytest.approx(naive.fullness(matrix), rel=1e-5)


def test_layers_are_in_their_order_and_only_those_with_a_memory() -> None:
    matrices = {f"layers.{layer}.matrix": torch.full((1, 1, 2, 2), float(layer)) for layer in (10, 2, 7)}
    held = occupancy(MemoryState(ORIGIN, 8, 1, {**matrices, "layers.2.norm": torch.ones(1, 1, 2)}))
    assert held.layers == (2, 7, 10)
    assert held.norms.squeeze(1).tolist() == [4, 14, 20]


def test_before_the_first_segment_is_closed() -> None:
    engine = Engine(memory_model(dtype=torch.float32))
    engine.read(text(SEGMENT - 1)[0])
    held = occupancy(engine.snapshot(ORIGIN))
    assert held.layers == () and held.norms.numel() == 0
