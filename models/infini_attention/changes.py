"""Low-rank changes of a decoder's projections that are in force only when asked for (LoRA, arXiv 2106.09685).

The memory path is the model's; these are a second skill of the same base, such as judging passages or answering from them.
Outside of ``in_force`` the model is what it was, bit for bit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from .errors import ModelUnavailable
from .inject import copy_weights

RANK = 8
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# What a low-rank change is multiplied with.
SCALE = 2.0


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
        """New ones for as many layers, and of the rank, that weights of others have."""
        downs = {name: tensor for name, tensor in tensors.items() if name.endswith("-down")}
        layers = 1 + max((int(name.split("-")[0]) for name in downs), default=-1)
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
        # Once for all calls.
        dtype = self.model.dtype
        down, up = self[f"{place}-down"].to(dtype), (SCALE * self[f"{place}-up"]).to(dtype)

        def changed(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            change: Tensor = (inputs[0] @ down) @ up
            return output + change

        return changed


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        ModelUnavailable: it is damaged.
    """
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelUnavailable(f"{file} is damaged", "install the package again, or copy the file anew") from error


def fill(module: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Puts a file's tensors into a module, which is not trained from then on.

    Raises:
        ModelUnavailable: they belong to another base.
    """
    try:
        copy_weights(tensors, dict(module.named_parameters()), "the file")
    except ValueError as error:
        raise ModelUnavailable(f"{file} cannot be used: {error}", "train one for this base") from error
    module.requires_grad_(False)
