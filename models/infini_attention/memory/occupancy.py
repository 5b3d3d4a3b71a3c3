"""How much a memory state holds: how strong each head's memory is, and how full."""

from __future__ import annotations

import dataclasses
import re

import torch
from torch import Tensor

from .state import MemoryState

_MATRIX = re.compile(r"layers\.(\d+)\.matrix")


@dataclasses.dataclass(frozen=True, slots=True)
class Occupancy:
    """What the memories of a state look like from outside, by layer and KV head.

    Attributes:
        layers: numbers of the layers that hold a memory, in ascending order.
        norms: ``[layers, heads]``, float64, Frobenius norm of each ``M``.
        fullness: ``[layers, heads]``, float64, 0 to 1, see ``fullness``.
    """

    layers: tuple[int, ...]
    norms: Tensor
    fullness: Tensor


def fullness(matrix: Tensor) -> Tensor:
    """How evenly a memory uses the directions that it has: the participation ratio of its energies over their number.

    With singular values ``s`` of ``M``, the energies are ``s ** 2``, their participation ratio is
    ``sum(s ** 2) ** 2 / sum(s ** 4)``, and there are ``min(D, V)`` of them. One association, however strong, fills
    ``1 / min(D, V)``; orthogonal ones of one strength fill a share each; independent noise fills about half of a square
    matrix. It says how much room is taken, not how well what takes it can be read.

    Args:
        matrix: ``[..., D, V]``.

    Returns:
        ``[...]``, float64, 0 to 1; 0 for a memory in which nothing is.
    """
    exact = matrix.double()
    # Scaled first, because fourth powers leave the range of floats early.
    largest = exact.abs().amax((-2, -1), keepdim=True)
    scaled = exact / torch.where(largest > 0, largest, 1)
    energy = scaled.square().sum((-2, -1))
    fourth = (scaled.transpose(-1, -2) @ scaled).square().sum((-2, -1))
    return energy.square() / torch.where(fourth > 0, fourth, 1) / min(matrix.shape[-2:])


def occupancy(state: MemoryState) -> Occupancy:
    """Strength and fullness of every memory of a state; no layers while no segment is closed."""
    matrices = {int(match[1]): tensor for name, tensor in state.tensors.items() if (match := _MATRIX.fullmatch(name))}
    layers = tuple(sorted(matrices))
    if not layers:
        return Occupancy((), torch.empty(0, 0).double(), torch.empty(0, 0).double())
    # A state has one sequence: the batch axis goes.
    stacked = torch.stack([matrices[layer][0] for layer in layers]).double()
    return Occupancy(layers, torch.linalg.matrix_norm(stacked), fullness(stacked))
