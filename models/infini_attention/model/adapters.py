"""Low-rank changes of a decoder's projections that are in force only when asked for (LoRA, arXiv 2106.09685).

The memory path is the model's; these are a second skill of the same base, such as judging passages or answering from them.
Outside of ``in_force`` the model is what it was, bit for bit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..errors import ModelUnavailable
from ..memory.inject import copy_weights
from .recipe import read_weights

RANK = 8
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# What a low-rank change is multiplied with.
SCALE = 2.0

T = TypeVar("T", bound=nn.Module)


class LowRankChanges(nn.ParameterDict):
    """Changes of all projections in a decoder's first layers; the weights themselves stay as they are.

    Args:
        model: a decoder; a memory path in it keeps what it reads and writes with.
        layers: how many of its layers are changed; all by default.
        rank: of each change.
        seed: draws what is not zero in the beginning. New changes change nothing.
    """

    def __init__(self, model: PreTrainedModel, layers: int | None = None, rank: int = RANK, seed: int = 0) -> None:
        super().__init__()
        decoder = cast(Any, model.get_decoder())
        # Not a submodule: what is trained are the changes.
        self._model = [model]
        self.layers = len(decoder.layers) if layers is None else min(layers, len(decoder.layers))
        self._linears: dict[str, nn.Linear] = {}
        generator = torch.Generator().manual_seed(seed)
        for index, layer in enumerate(decoder.layers[: self.layers]):
            for name, module in layer.named_modules():
                projection = name.rsplit(".", 1)[-1]
                if projection in PROJECTIONS:
                    linear = cast(nn.Linear, module)
                    place = f"{index}-{projection}"
                    self._linears[place] = linear
                    noise = torch.randn(linear.in_features, rank, generator=generator) / math.sqrt(linear.in_features)
                    device = linear.weight.device
                    self[f"{place}-down"] = nn.Parameter(noise.to(device))
                    self[f"{place}-up"] = nn.Parameter(torch.zeros(rank, linear.out_features, device=device))

    @classmethod
    def like(cls, model: PreTrainedModel, tensors: Mapping[str, Tensor]) -> Self:
        """New ones for as many layers, and of the rank, that weights of others have, or of what holds such."""
        downs = {name: tensor for name, tensor in tensors.items() if name.endswith("-down")}
        layers = 1 + max((int(name.rsplit(".", 1)[-1].split("-")[0]) for name in downs), default=-1)
        return cls(model, layers, next((tensor.shape[1] for tensor in downs.values()), RANK))

    @property
    def model(self) -> PreTrainedModel:
        """The model whose projections they change."""
        return self._model[0]

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """A context in which the model has them."""
        handles = [linear.register_forward_hook(self._change(place)) for place, linear in self._linears.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _change(self, place: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        dtype = self.model.dtype
        down, up = self[f"{place}-down"].to(dtype), self[f"{place}-up"].to(dtype)

        def changed(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            change: Tensor = (SCALE * (inputs[0] @ down)) @ up
            return output + change

        return changed


def restored(file: Path | None, make: Callable[[Mapping[str, Tensor]], T]) -> T | None:
    """What a file's weights were trained as, not to be trained from here on; ``None`` where there is no file.

    Args:
        file: with weights.
        make: a new one of the sizes that the weights have.

    Raises:
        ModelUnavailable: the file is damaged, or belongs to another base.
    """
    if file is None:
        return None
    tensors = read_weights(file)
    module = make(tensors)
    try:
        copy_weights(tensors, dict(module.named_parameters()), "the file")
    except ValueError as error:
        raise ModelUnavailable(f"{file} cannot be used: {error}", "train one for this base") from error
    return module.requires_grad_(False)


def load_changes(model: PreTrainedModel, file: Path | None) -> LowRankChanges | None:
    """The changes in a file; ``None`` where there is none.

    Args:
        model: the base that they were trained with.
        file: such as ``Recipe.reader_file``.

    Raises:
        ModelUnavailable: it is damaged, or belongs to another base.
    """
    return restored(file, lambda tensors: LowRankChanges.like(model, tensors))
