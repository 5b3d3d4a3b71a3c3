"""LoRA adapters of a base (arXiv 2106.09685, the package peft) that are in force only when asked for.

The memory path is the model's; these are other skills of the same base, such as ordering passages or answering from them.
Outside of ``in_force`` the model is what it was, bit for bit.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..errors import ModelUnavailable
from ..memory.adapting import in_force, put_in_force
from ..memory.parameters import copy_weights
from .recipe import read_weights

RANK = 8
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# What a low-rank change is multiplied with.
SCALE = 2
_LAYER = re.compile(r"layers\.(\d+)\.")


class LoraAdapter:
    """A named adapter of all projections in a decoder's first layers; the base's own weights stay as they are.

    Args:
        model: a decoder; a memory path in it keeps what it reads and writes with. An adapter of the same name goes.
        name: such as ``reader``.
        layers: how many of its layers are changed; all by default.
        rank: of each change.
        seed: draws what is not zero in the beginning. A new adapter changes nothing.
        projections: names of the layers' linear maps that are changed.
        scale: what a change is multiplied with.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        name: str,
        layers: int | None = None,
        rank: int = RANK,
        seed: int = 0,
        *,
        projections: Sequence[str] = PROJECTIONS,
        scale: int = SCALE,
    ) -> None:
        count = len(cast(Any, model.get_decoder()).layers)
        self.model, self.name, self.learns = model, name, False
        self.layers = count if layers is None else min(layers, count)
        put_in_force(model, None)
        config = LoraConfig(
            r=rank,
            lora_alpha=scale * rank,
            target_modules=list(projections),
            layers_to_transform=list(range(self.layers)),
        )
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # Several adapters of one model are what is wanted here.
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")
            warnings.filterwarnings("ignore", message="Adapter .* was active which is now deleted")
            if name in getattr(model, "peft_config", {}):
                model.delete_adapter(name)
            torch.manual_seed(seed)
            model.add_adapter(config, name)
        for weight in self.weights().values():
            weight.data = weight.data.float()
        self.off()

    @classmethod
    def like(cls, model: PreTrainedModel, name: str, tensors: Mapping[str, Tensor]) -> Self:
        """A new one of as many layers, and of the rank, as weights have."""
        downs = {key: tensor for key, tensor in tensors.items() if ".lora_A." in key}
        layers = 1 + max((int(match[1]) for key in downs if (match := _LAYER.search(key))), default=-1)
        return cls(model, name, layers, next((tensor.shape[0] for tensor in downs.values()), RANK))

    def weights(self) -> dict[str, nn.Parameter]:
        """Its parameters by name, ``layers.0.self_attn.q_proj.lora_A.weight`` and so on."""
        own = f".{self.name}."
        found = {name: weight for name, weight in self.model.named_parameters() if ".lora_" in name and own in name}
        return {name[name.index("layers.") :].replace(own, "."): weight for name, weight in found.items()}

    def trained(self) -> dict[str, nn.Parameter]:
        """Its parameters, float32, which from here on require gradients; no others of the model do."""
        self.learns = True
        self.model.requires_grad_(False)
        for weight in self.weights().values():
            weight.data = weight.data.float()
            weight.requires_grad_(True)
        return self.weights()

    def ready(self) -> Self:
        """The same, to be used and not trained: in the model's dtype, so that nothing is cast at every token."""
        self.learns = False
        for weight in self.weights().values():
            weight.requires_grad_(False)
            weight.data = weight.data.to(self.model.dtype)
        return self

    def on(self) -> None:
        """See ``adapting.put_in_force``, which is to be called."""
        for layer in self._layers():
            layer.enable_adapters(True)
            layer.set_adapter(self.name, inference_mode=not self.learns)
        self._set_gradients()

    def off(self) -> None:
        """See ``adapting.put_in_force``, which is to be called."""
        for layer in self._layers():
            layer.enable_adapters(False)
        self._set_gradients()

    def _set_gradients(self) -> None:
        if self.learns:
            # peft takes gradients away; what a backward pass is still to reach must keep them.
            for weight in self.weights().values():
                weight.requires_grad_(True)

    def _layers(self) -> Iterator[Any]:
        # The model's own methods go over all its modules several times, which takes as long as a token does.
        kinds = BaseTunerLayer, ModulesToSaveWrapper
        return (module for module in self.model.modules() if isinstance(module, kinds))

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """A context in which the model has it."""
        before = in_force(self.model)
        put_in_force(self.model, self)
        try:
            yield
        finally:
            put_in_force(self.model, before)


def load_lora(model: PreTrainedModel, name: str, file: Path | None) -> LoraAdapter | None:
    """The adapter in a file, to be used; ``None`` where there is no file.

    Args:
        model: the base that it was trained with.
        name: what the model calls it.
        file: such as ``Recipe.reader_file``.

    Raises:
        ModelUnavailable: it is damaged, or belongs to another base.
    """
    if file is None:
        return None
    tensors = read_weights(file)
    adapter = LoraAdapter.like(model, name, tensors)
    copy_trained(tensors, adapter.weights(), file)
    return adapter.ready()


def copy_trained(tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], file: Path) -> None:
    """Copies the tensors of a file.

    Raises:
        ModelUnavailable: they do not fit.
    """
    try:
        copy_weights(tensors, parameters, "the file")
    except ValueError as error:
        raise ModelUnavailable(f"{file} cannot be used: {error}", "train one for this base") from error
