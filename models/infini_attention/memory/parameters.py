"""The trained parameters of a model's memory path, by name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .inject import injection, require_injection
from .path import MemoryPath


def memory_paths(model: PreTrainedModel) -> dict[int, MemoryPath]:
    """The memory path of each layer that has one."""
    record = injection(model)
    return {} if record is None else {index: tap.path for index, tap in record.taps.items()}


def memory_parameters(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """Parameters of the memory path by name, ``layers.3.query_up`` and so on, in the order of layers, float32.

    Where an adapter of peft trains a path (``modules_to_save``), they are those in use.

    Raises:
        UseError: the model has no memory path.
    """
    require_injection(model)
    return {
        f"layers.{index}.{name}": parameter
        for index, path in memory_paths(model).items()
        for name, parameter in path.named_parameters()
    }


def copy_weights(tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], what: str) -> None:
    """Copies tensors into the parameters of the same names; ``what`` they are is told where they do not fit.

    Raises:
        ValueError: names or shapes differ. Nothing is copied then.
    """
    if odd := sorted(set(parameters) ^ set(tensors)):
        raise ValueError(f"{what} does not fit the model: {odd[0]} and {len(odd) - 1} more names differ")
    for name, parameter in parameters.items():
        if parameter.shape != tensors[name].shape:
            raise ValueError(f"{what}'s {name} is {tuple(tensors[name].shape)}, not {tuple(parameter.shape)}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
