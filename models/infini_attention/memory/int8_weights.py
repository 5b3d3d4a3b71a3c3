"""Weights of a linear map in 8 bits, for the product with one token: a processor decodes as fast as it gets at weights.

Torch's products with 8-bit weights are slow for float32 inputs without matrix units. Its ``embedding_bag`` over rows in 8 bits
(of FBGEMM, on any x86 processor with AVX2) is not, and a weighted sum of rows is a product of a matrix and a vector: row k is
what input k adds to a group of outputs. Each row has a scale and an offset of its own; inputs and sums stay float32.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

# Outputs of a group. 64 float32 sums fill half of the registers of AVX2; more of them spill, fewer waste scales and indices.
GROUP = 64
_AT_ONCE = 4


class Int8Weights:
    """The weights of a linear map in 8 bits; about 1.13 bytes a weight.

    Args:
        weight: ``[N, K]`` float32, on the processor; ``N`` is a multiple of ``GROUP``.
    """

    def __init__(self, weight: Tensor) -> None:
        self.outputs, self.inputs = weight.shape
        self.groups = self.outputs // GROUP
        self.firsts = torch.arange(0, self.groups * self.inputs, self.inputs, dtype=torch.int32)
        self.numbers = _counting(self.groups * self.inputs)
        # Behind the 8 bits of each row are its scale and offset, float32.
        self.table = torch.empty(self.groups * self.inputs, GROUP + 8, dtype=torch.uint8)
        # A few groups at a time stay in the processor's caches.
        for few, made in zip(
            weight.detach().split(_AT_ONCE * GROUP), self.table.split(_AT_ONCE * self.inputs), strict=True
        ):
            rows = few.view(-1, GROUP, self.inputs).transpose(1, 2).reshape(-1, GROUP)
            made.copy_(torch.ops.quantized.embedding_bag_byte_prepack(rows))

    @property
    def nbytes(self) -> int:
        """Bytes of the weights with their scales."""
        return self.table.nbytes

    def product(self, token: Tensor) -> Tensor:
        """``[N]`` float32, the outputs for the inputs of one token, ``[K]`` float32."""
        # Looked up here: a build of torch without it can still import this.
        weighted_sums = torch.ops.quantized.embedding_bag_byte_rowwise_offsets
        weights = token.repeat(self.groups)
        found: Tensor = weighted_sums(self.table, self.numbers, self.firsts, False, 0, False, weights, None, False)
        return found.view(-1)


def fits(weight: Tensor) -> bool:
    """Whether a linear map's weights, ``[N, K]``, can be had in 8 bits."""
    plain = weight.device.type == "cpu" and weight.dtype is torch.float32 and weight.ndim == 2
    return plain and weight.shape[0] % GROUP == 0 and supported()


@functools.cache
def supported() -> bool:
    """Whether this machine has a fast product for 8-bit weights: FBGEMM's, whose result is checked here once."""
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        return False
    with torch.inference_mode():
        draw = torch.Generator().manual_seed(0)
        weight, token = torch.randn(GROUP, 32, generator=draw), torch.randn(32, generator=draw)
        try:
            found = Int8Weights(weight).product(token)
        except (AttributeError, RuntimeError):
            return False
        return bool(torch.allclose(found, weight @ token, atol=0.2))


_numbers = torch.arange(0, dtype=torch.int32)


def _counting(count: int) -> Tensor:
    """0, 1 and so on, int32: all products share them."""
    global _numbers
    if len(_numbers) < count:
        _numbers = torch.arange(count, dtype=torch.int32)
    return _numbers[:count]
