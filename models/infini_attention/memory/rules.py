"""The compressive memory: retrieval and update of each rule, as pure functions.

Shapes: ``B`` batch, ``H`` KV heads, ``G`` query heads a KV head, ``T`` tokens, ``D`` key size, ``V`` value size.
Everything is computed in float32, or in float64 when the inputs are: a memory kept in half precision drifts over
thousands of segments. No function changes its arguments, so a memory can be shared by copies of a cache.

Equations are those of *Leave No Context Behind* (arXiv 2404.07143, section 2.1.2) for ``linear`` and ``delta``, and of
*Gated Delta Networks* (arXiv 2412.06464) for ``deltanet``, whose chunked form follows arXiv 2406.06484.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from . import kernels
from .config import UpdateRule

Result = TypeVar("Result")

CHUNK = 64
# Binary digits of a number of times that is not known beforehand.
COUNT_BITS = 12


class Memory(NamedTuple):
    """What one layer remembers.

    Attributes:
        matrix: ``M``, ``[B, H, D, V]``, float32 (or float64).
        norm: ``z``, ``[B, H, D]``, the paper's normalisation term; ``None`` under ``deltanet``.
    """

    matrix: Tensor
    norm: Tensor | None


class Write(NamedTuple):
    """What a stretch of tokens will write.

    Attributes:
        keys: ``[B, H, T, D]``, before any feature map, without position embedding.
        values: ``[B, H, T, V]``.
        beta: ``b``, how strongly a token writes, ``[B, H, T]`` in (0, 1), ``deltanet`` only.
        g: ``log a``, how the memory decays before, ``[B, H, T]``, not positive, ``deltanet`` only. Both named as in
            flash-linear-attention.
    """

    keys: Tensor
    values: Tensor
    beta: Tensor | None = None
    g: Tensor | None = None


def accumulator(tensor: Tensor) -> Tensor:
    """The tensor in the precision that memories are kept in: float32, or float64 if it is that already."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def empty_memory(rule: UpdateRule, write: Write) -> Memory:
    """The memory before anything was written, in the shape that ``write`` needs."""
    keys, values = accumulator(write.keys), write.values
    batch, heads, _, key_size = keys.shape
    matrix = keys.new_zeros(batch, heads, key_size, values.shape[-1])
    return Memory(matrix, None if rule == "deltanet" else keys.new_zeros(batch, heads, key_size))


def feature_map(x: Tensor) -> Tensor:
    """sigma(x) = ELU(x) + 1, the paper's kernel; positive everywhere."""
    return F.elu(x) + 1


def unit_norm(x: Tensor) -> Tensor:
    """Rows of length one; a zero row stays zero."""
    return F.normalize(x, dim=-1)


def _exact(function: Callable[[UpdateRule, Memory, Any], Result]) -> Callable[[UpdateRule, Memory, Any], Result]:
    """Outside of autocast, which would multiply in half precision what is kept in float32."""

    @functools.wraps(function)
    def run(rule: UpdateRule, memory: Memory, other: Any) -> Result:
        device = memory.matrix.device.type
        if not torch.is_autocast_enabled(device):
            return function(rule, memory, other)
        with torch.autocast(device, enabled=False):
            return function(rule, memory, other)

    return run


@_exact
def retrieve(rule: UpdateRule, memory: Memory, queries: Tensor) -> Tensor:
    """What the memory holds for each query.

    Args:
        rule: the update rule that the memory was written with.
        memory: matrices of the KV heads.
        queries: ``[B, H*G, T, D]``; query head ``j`` reads KV head ``j // G``.

    Returns:
        ``[B, H*G, T, V]`` in the precision of the memory. Paper, equation 3:
        ``sigma(Q) M / (sigma(Q) z)``; deltanet: ``unit(q) M``.
    """
    batch, query_heads, tokens, size = queries.shape
    heads = memory.matrix.shape[1]
    # Neighbouring query heads share a KV head, so folding them into the token axis needs no copy of the memory.
    grouped = accumulator(queries).reshape(batch, heads, -1, size)
    if rule == "deltanet":
        read = unit_norm(grouped) @ memory.matrix
    else:
        read = _normalised_read(memory, feature_map(grouped))
    return read.reshape(batch, query_heads, tokens, -1)


@_exact
def update(rule: UpdateRule, memory: Memory, write: Write) -> Memory:
    """The memory after a segment was written into it.

    Args:
        rule: which update rule.
        memory: the memory before, ``M_{s-1}``.
        write: what the segment's tokens write, in their order.

    Returns:
        The memory after, ``M_s``. Gradients flow through both arguments.
    """
    keys, values = accumulator(write.keys), accumulator(write.values)
    if rule == "deltanet":
        if write.beta is None or write.g is None:
            raise ValueError("deltanet writes need beta and g for every token")
        parts = (unit_norm(keys), values, accumulator(write.beta), accumulator(write.g))
        if kernels.fits(write.keys):
            return Memory(kernels.fused_gated_delta_rule(memory.matrix, *parts, write.keys.dtype), None)
        return Memory(gated_delta_rule(memory.matrix, *parts), None)
    mapped = feature_map(keys)
    if rule == "delta":
        # Equation 5: one difference for the whole segment, against what the memory held before it. An empty memory
        # holds nothing, and 0/0 is to be nothing too.
        values = values - _normalised_read(memory, mapped)
    assert memory.norm is not None
    # Equation 4.
    return Memory(memory.matrix + mapped.transpose(-1, -2) @ values, memory.norm + mapped.sum(-2))


class Transition(NamedTuple):
    """A stretch's update under ``deltanet`` as an affine map of the memory: ``M' = P M + Q``.

    Attributes:
        kept: ``P``, ``[..., B, H, D, D]``, what the stretch leaves of the memory before it.
        written: ``Q``, ``[..., B, H, D, V]``, what it writes into an empty one.
    """

    kept: Tensor
    written: Tensor

    def apply(self, matrix: Tensor) -> Tensor:
        """The memory matrix after the stretch."""
        return self.kept @ matrix + self.written

    def then(self, other: Transition) -> Transition:
        """This map and another one after it, as one map."""
        return Transition(other.kept @ self.kept, other.apply(self.written))

    def times(self, count: int | Tensor) -> Transition:
        """This map ``count`` times, as one map: squared where it can be, so thousands cost little.

        Args:
            count: at least 1. A tensor, of no axis, need not be known while this is computed, and is less than
                ``2 ** COUNT_BITS``.
        """
        if isinstance(count, Tensor):
            return self._times_unknown(count)
        if count == 1:
            return self
        half = self.times(count // 2)
        twice = half.then(half)
        return twice.then(self) if count % 2 else twice

    def _times_unknown(self, count: Tensor) -> Transition:
        identity = torch.eye(self.kept.shape[-1], dtype=self.kept.dtype, device=self.kept.device)
        found = Transition(identity.expand_as(self.kept), torch.zeros_like(self.written))
        power = self
        for bit in range(COUNT_BITS):
            taken = (count >> bit) & 1 == 1
            found = Transition(*(torch.where(taken, *pair) for pair in zip(found.then(power), found, strict=True)))
            if bit + 1 < COUNT_BITS:
                power = power.then(power)
        return found

    def roll(self, rows: int) -> Transition:
        """The same maps, each moved ``rows`` rows down the batch, the last ones to its top."""
        rows %= self.kept.shape[-4]
        return Transition(self.kept.roll(rows, -4), self.written.roll(rows, -4)) if rows else self


def transition(write: Write) -> Transition:
    """What a stretch does to any memory, from one pass over it: to apply it again costs one small product.

    Raises:
        ValueError: the write is not a ``deltanet`` one; the paper's rules depend on how much was written before.
    """
    if write.beta is None or write.g is None:
        raise ValueError("only a deltanet update is an affine map of the memory alone")
    keys, values = accumulator(write.keys), accumulator(write.values)
    batch, heads, _, size = keys.shape
    # Columns of the memory do not mix: those of an identity become P, those of nothing become Q.
    identity = torch.eye(size, dtype=keys.dtype, device=keys.device).expand(batch, heads, size, size)
    matrix = gated_delta_rule(
        torch.cat([identity, keys.new_zeros(batch, heads, size, values.shape[-1])], -1),
        unit_norm(keys),
        torch.cat([torch.zeros_like(keys), values], -1),
        accumulator(write.beta),
        accumulator(write.g),
    )
    return Transition(*matrix.split([size, values.shape[-1]], -1))


def _normalised_read(memory: Memory, mapped: Tensor) -> Tensor:
    assert memory.norm is not None
    weight = mapped @ memory.norm[..., None]
    # Nothing over nothing is nothing. Dividing by the smallest float instead would give NaN gradients.
    return (mapped @ memory.matrix) / torch.where(weight > 0, weight, 1)


def gated_delta_rule(matrix: Tensor, keys: Tensor, values: Tensor, beta: Tensor, g: Tensor) -> Tensor:
    """``M_t = a_t M_{t-1} + k_t b_t (v_t - k_t^T a_t M_{t-1})``, token after token, computed exactly in chunks.

    Within a chunk the writes ``u_t`` solve a unit lower-triangular system (arXiv 2406.06484, equation 10, with the
    decay of arXiv 2412.06464); all chunks are solved at once and only a short recurrence over chunks is left.

    Args:
        matrix: ``M_0``, ``[B, H, D, V]``.
        keys: ``[B, H, T, D]``, unit norm.
        values: ``[B, H, T, V]``.
        beta: ``b``, ``[B, H, T]``.
        g: ``log a``, ``[B, H, T]``, not positive.

    Returns:
        ``M_T``, ``[B, H, D, V]``.
    """
    tokens = keys.shape[2]
    if tokens == 0:
        return matrix
    # A padded token has beta 0 and g 0: it changes nothing.
    chunk = min(CHUNK, tokens)
    pad = -tokens % chunk
    keys, values = (F.pad(x, (0, 0, 0, pad)).unflatten(2, (-1, chunk)) for x in (keys, values))
    beta, g = (F.pad(x, (0, pad)).unflatten(2, (-1, chunk)) for x in (beta, g))

    decay = g.cumsum(-1)
    # Only differences to earlier tokens are used; the others would overflow in exp, and in its gradient.
    between = (decay[..., :, None] - decay[..., None, :]).tril().exp()
    strong_keys = beta[..., None] * keys
    system = ((strong_keys @ keys.transpose(-1, -2)) * between).tril(-1)
    sides = torch.cat([beta[..., None] * values, decay.exp()[..., None] * strong_keys], -1)
    # unitriangular: the ones of the diagonal are implied.
    solved = torch.linalg.solve_triangular(system, sides, upper=False, unitriangular=True)
    from_values, from_memory = solved.split([values.shape[-1], keys.shape[-1]], -1)
    last = decay[..., -1:]
    carried = (keys * (last - decay).exp()[..., None]).transpose(-1, -2)
    kept = last.exp()[..., None]
    # Taken apart at once: the gradient of a part of a tensor, taken by its index, is as large as the tensor.
    for own, seen, left, carry in zip(*(x.unbind(2) for x in (from_values, from_memory, kept, carried)), strict=True):
        matrix = left * matrix + carry @ (own - seen @ matrix)
    return matrix
