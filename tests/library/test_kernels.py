"""The fused kernel's place: how it is called, against transformers' stand-in for it, and when it is not.

The kernel itself needs a CUDA device; transformers' torch version has the same interface and conventions.
"""

from __future__ import annotations

import functools
from typing import Any

import naive
import pytest
import torch
from infini_attention.memory import kernels
from infini_attention.memory.rules import Memory, Write, update


def write_of(dtype: torch.dtype, tokens: int = 70) -> tuple[Memory, Write]:
    generator = torch.Generator().manual_seed(0)
    normal = functools.partial(torch.randn, generator=generator)
    keys, values = normal(2, 3, tokens, 8), normal(2, 3, tokens, 4)
    beta, g = torch.sigmoid(normal(2, 3, tokens)), -torch.sigmoid(normal(2, 3, tokens))
    parts: list[Any] = [keys.to(dtype), values.to(dtype), beta, g]
    return Memory(normal(2, 3, 8, 4), None), Write(*(part.requires_grad_() for part in parts))


def as_float64(pack: Any) -> Any:
    return type(pack)(*(None if x is None else x.detach().double().requires_grad_() for x in pack))


def test_the_kernel_is_called_by_its_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    qwen = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")
    monkeypatch.setattr(kernels, "_chunk_gated_delta_rule", lambda: qwen.torch_chunk_gated_delta_rule)
    monkeypatch.setattr(kernels, "fits", lambda keys: True)
    memory, write = write_of(torch.bfloat16)
    after = update("deltanet", memory, write)
    exact, exact_write = as_float64(memory), as_float64(write)
    wanted = naive.update("deltanet", exact, exact_write)
    assert after.matrix.dtype == torch.float32 and after.norm is None
    torch.testing.assert_close(after.matrix.double(), wanted.matrix, rtol=2e-2, atol=2e-2)
    for matrix in (after.matrix, wanted.matrix):
        torch.autograd.backward([matrix.square().sum()])
    for ours, theirs in zip(write, exact_write, strict=True):
        assert ours is not None and ours.grad is not None
        scale = float(theirs.grad.abs().max())
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=0, atol=0.03 * scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_cpu_never_uses_it(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_chunk_gated_delta_rule", lambda: pytest.fail)
    assert not kernels.fits(write_of(dtype)[1].keys)


def test_without_the_package_there_is_none() -> None:
    try:
        import fla  # noqa: F401
    except ImportError:
        assert kernels._chunk_gated_delta_rule() is None
    else:
        pytest.skip("fla-core is installed")
