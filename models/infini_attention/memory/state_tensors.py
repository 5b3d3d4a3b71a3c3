"""The tensors of a state file: their names, types, shapes and values, checked against each other and the header."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .config import InfiniConfig

OPEN_IDS = "open_ids"
BEHIND = "behind"
ATTACHED = "attached."

_LAYER = re.compile(r"layers\.(0|[1-9]\d{0,3})\.(matrix|norm)")
_MOST_ATTACHMENTS, _LONGEST_NAME = 16, 100
# Far from what any text writes, and from where sums of products leave float32.
_LARGEST, _LARGEST_SUM = 1e6, 1e12


def check_tensors(tensors: Mapping[str, Tensor], tokens: int, segments: int) -> None:
    """Refuses tensors that no reading gives.

    Args:
        tensors: everything in the file but the header.
        tokens, segments: as the header has them.

    Raises:
        ValueError: a tensor is missing, unknown, of another type or shape, or holds what it cannot.
    """
    for name, tensor in tensors.items():
        _check_plain(name, tensor)
    ids = _taken(tensors, OPEN_IDS, torch.int64, 1)
    waiting = len(ids)
    if waiting and not (int(ids.min()) >= 0 and int(ids.max()) < 2**31):
        raise ValueError("a token id is out of range")
    # Every closed segment has a token, and only closed segments are in memory.
    if waiting > tokens or segments > tokens - waiting or (segments == 0) != (tokens == waiting):
        raise ValueError("the counts of tokens and segments contradict each other")
    if BEHIND in tensors and int(_taken(tensors, BEHIND, torch.int8, 3).to(torch.int16).abs().max()) > 1:
        raise ValueError("signs are -1, 0 and 1")
    _check_attachments(tensors)
    _check_memories(tensors, segments)


def check_fit(
    tensors: Mapping[str, Tensor],
    tokens: int,
    segments: int,
    *,
    config: InfiniConfig,
    heads: Mapping[int, tuple[int, int]],
    vocabulary: int,
) -> None:
    """Refuses tensors that passed ``check_tensors`` but that a model cannot have written, whatever fingerprints say.

    Args:
        tensors, tokens, segments: of the state.
        config: of the model's memory path.
        heads: number and size of the KV heads of each layer that carries a memory.
        vocabulary: token ids that the model knows.

    Raises:
        ValueError: shapes, token ids or counts are not the model's.
    """
    waiting = len(tensors[OPEN_IDS])
    if waiting > config.segment_length or tokens - waiting > segments * config.segment_length:
        raise ValueError("its segments are longer than the model's")
    if waiting and int(tensors[OPEN_IDS].max()) >= vocabulary:
        raise ValueError("it has token ids that the model does not know")
    wanted: dict[str, tuple[int, ...]] = {}
    if segments:
        for layer, (count, size) in heads.items():
            wanted[f"layers.{layer}.matrix"] = (1, count, size, size)
            if config.update_rule != "deltanet":
                wanted[f"layers.{layer}.norm"] = (1, count, size)
        if config.ngrams:
            wanted[BEHIND] = (max(config.ngrams), *heads[min(heads)])
    if wanted != {name: tuple(tensor.shape) for name, tensor in tensors.items() if name != OPEN_IDS}:
        raise ValueError("its memories are of other shapes than the model's")


def _check_plain(name: str, tensor: Tensor) -> None:
    plain = (
        type(tensor) is Tensor
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.is_quantized or tensor.is_nested or tensor.is_conj() or tensor.is_neg() or tensor.requires_grad)
    )
    # A tensor that takes less than it seems to could unfold to any size.
    if not plain or not tensor.is_contiguous() or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise ValueError(f"{name} is not a plain tensor")
    if not (name in (OPEN_IDS, BEHIND) or name.startswith(ATTACHED) or _LAYER.fullmatch(name)):
        raise ValueError(f"{name} is no part of a state")


def _taken(tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype, axes: int) -> Tensor:
    tensor = tensors.get(name)
    if tensor is None or tensor.dtype is not dtype or tensor.dim() != axes:
        raise ValueError(f"{name} is missing, or of another type or shape")
    if name != OPEN_IDS and tensor.numel() == 0:
        raise ValueError(f"{name} is empty")
    return tensor


def _check_attachments(tensors: Mapping[str, Tensor]) -> None:
    names = [name for name in tensors if name.startswith(ATTACHED)]
    if len(names) > _MOST_ATTACHMENTS or any(len(name) > _LONGEST_NAME or not name.isprintable() for name in names):
        raise ValueError("there are more attachments, or with longer names, than a state has")
    for name in names:
        _taken(tensors, name, torch.uint8, 1)


def _check_memories(tensors: Mapping[str, Tensor], segments: int) -> None:
    matches = [match for name in tensors if (match := _LAYER.fullmatch(name))]
    layers = {kind: {match[1] for match in matches if match[2] == kind} for kind in ("matrix", "norm")}
    if bool(layers["matrix"]) != bool(segments) or (layers["norm"] and layers["norm"] != layers["matrix"]):
        raise ValueError("memories are missing, or there are too many")
    shapes = set()
    for layer in layers["matrix"]:
        matrix = _taken(tensors, f"layers.{layer}.matrix", torch.float32, 4)
        shapes.add(tuple(matrix.shape))
        if matrix.shape[0] != 1 or len(shapes) > 1:
            raise ValueError("memories differ in shape, or are of several texts")
        if layers["norm"]:
            norm = _taken(tensors, f"layers.{layer}.norm", torch.float32, 3)
            if norm.shape != matrix.shape[:3]:
                raise ValueError("a memory's norm is of another shape than its matrix")
            _within(norm, _LARGEST_SUM)
            # A read is a mean of what was written, weighted by the norm.
            if bool((norm < 0).any()) or bool((matrix.abs().amax(-1) > _LARGEST * norm).any()):
                raise ValueError("a memory holds more than its norm has room for")
        _within(matrix, _LARGEST_SUM if layers["norm"] else _LARGEST)


def _within(tensor: Tensor, most: float) -> None:
    low, high = (float(end) for end in torch.aminmax(tensor))
    # Whatever is compared with NaN is false.
    if not (-most <= low and high <= most):
        raise ValueError("a memory holds numbers that no text writes")
