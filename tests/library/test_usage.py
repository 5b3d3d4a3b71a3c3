"""How far heads use memory: measured in what they put out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from infini_attention.evaluate.gate_usage import gate_scores, usage
from infini_attention.memory.parameters import memory_paths

from models import SEGMENT, VOCABULARY, tiny_loaded

IDS = torch.randint(VOCABULARY, (3 * SEGMENT + 2,), generator=torch.Generator().manual_seed(0)).tolist()


def test_a_head_with_a_shut_gate_uses_nothing_and_the_others_do() -> None:
    loaded = tiny_loaded()
    with torch.no_grad():
        memory_paths(loaded.model)[1].gate_bias[2] = -1e4
    shares = usage(loaded, IDS)
    assert shares.shape == (2, 4)
    assert shares[1, 2] == 0
    assert int(((shares > 0) & (shares < 1)).sum()) == 7
    # Nothing is left in the model.
    assert torch.equal(usage(loaded, IDS), usage(loaded, IDS))


def test_wider_gates_make_larger_shares() -> None:
    narrow, wide = (usage(tiny_loaded(gate_bias=bias), IDS) for bias in (-4.0, 2.0))
    assert bool((wide > narrow).all())


def test_only_tokens_with_a_memory_behind_them_count() -> None:
    loaded = tiny_loaded()
    both = usage(loaded, IDS[: 3 * SEGMENT]) * 2 - usage(loaded, IDS[: 2 * SEGMENT])
    engine = loaded.engine()
    engine.read(IDS[: 2 * SEGMENT])
    seen: list[torch.Tensor] = []

    def note(path: Any, args: Any, output: torch.Tensor) -> None:
        local = args[1].norm(dim=-1)
        added = (output - args[1]).norm(dim=-1)
        seen.append((added / (added + local)).mean((0, 1)))

    handles = [path.register_forward_hook(note) for path in memory_paths(loaded.model).values()]
    engine.step(torch.tensor([IDS[2 * SEGMENT : 3 * SEGMENT]]))
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(both, torch.stack(seen), atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="second segment"):
        usage(loaded, IDS[:SEGMENT])


def test_gate_scores_are_the_papers() -> None:
    loaded = tiny_loaded(update_rule="delta", gate="convex", gate_bias=1.5)
    torch.testing.assert_close(gate_scores(loaded), torch.full((2, 4), 1.5).sigmoid())
