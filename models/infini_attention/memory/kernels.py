"""The gated delta rule's fused kernel: flash-linear-attention's, where ``fla-core`` is installed (the extra ``cuda``)."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


@functools.cache
def _chunk_gated_delta_rule() -> Any:
    try:
        from fla.ops.gated_delta_rule import chunk_gated_delta_rule
    except (ImportError, RuntimeError):
        # Without Triton, or with one that does not suit the driver, the package cannot be imported.
        return None
    return chunk_gated_delta_rule


def fits(keys: Tensor) -> bool:
    """Whether the kernel is to take what a segment writes: half precision, on CUDA, to be learned from kernel by kernel.

    It compiles and tries itself out for longer than many a text takes to be read, and cannot do so while work is recorded;
    and what is read is to have the same bits whether it is recorded or not.
    """
    if not keys.is_cuda or keys.dtype not in (torch.bfloat16, torch.float16) or not torch.is_grad_enabled():
        return False
    return not torch.cuda.is_current_stream_capturing() and _chunk_gated_delta_rule() is not None


def fused_gated_delta_rule(
    matrix: Tensor, keys: Tensor, values: Tensor, beta: Tensor, g: Tensor, dtype: torch.dtype
) -> Tensor:
    """``memory.gated_delta_rule`` with products in half precision; the memory itself stays float32.

    Args:
        matrix: ``M_0``, ``[B, H, D, V]``, float32.
        keys: ``[B, H, T, D]``, unit norm.
        values: ``[B, H, T, V]``.
        beta: ``[B, H, T]``.
        g: ``[B, H, T]``.
        dtype: of the products.

    Returns:
        ``M_T``, ``[B, H, D, V]``, float32.
    """
    keys, values = (x.transpose(1, 2).to(dtype).contiguous() for x in (keys, values))
    beta, g = (x.transpose(1, 2).float().contiguous() for x in (beta, g))
    # Only the state is wanted; what the queries would read is thrown away.
    _, after = _chunk_gated_delta_rule()(
        keys, keys, values, g=g, beta=beta, initial_state=matrix.contiguous(), output_final_state=True
    )
    return after  # type: ignore[no-any-return]
