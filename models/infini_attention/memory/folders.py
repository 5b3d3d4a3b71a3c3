"""A trained memory path as a folder, apart from its base: one file that says what it is, and one with its weights.

So peft keeps adapters. The files have names of their own, so that such a folder can also be a model's, or hold an adapter of
peft. A folder that ``model.save_pretrained`` wrote while the model had a memory is read as well.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from ..errors import ModelUnavailable, UseError
from ..files import atomic_writer
from .config import InfiniConfig
from .inject import CONFIG_KEY, eject, inject, injection, require_injection
from .parameters import copy_weights, memory_parameters

CONFIG_FILE = "infini_config.json"
WEIGHTS_FILE = "infini_model.safetensors"
FORMAT, VERSION = "infini.adapter", 1
# Where a model's own files have a layer's path.
_OF_MODEL = re.compile(r"\.(\d+)\.[^.]+\.infini\.(\w+)$")


def save_adapter(model: PreTrainedModel, folder: str | Path) -> None:
    """Writes a model's memory path, and nothing of its base, to a folder; files of an earlier one there are replaced.

    Args:
        model: with a memory path (see ``inject``).
        folder: is made if it is not there.

    Raises:
        UseError: the model has no memory path.
        OSError: the folder cannot be written.
    """
    record = require_injection(model)
    tensors = {name: one.detach().cpu().contiguous().clone() for name, one in memory_parameters(model).items()}
    values = record.config.to_dict()
    # JSON has no infinity; a float is read from its text as well.
    values["decay_tokens"] = [str(tokens) for tokens in values["decay_tokens"]]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "base_model_name_or_path": model.config._name_or_path or None,
        "model_type": model.get_decoder().config.model_type,
        "config": values,
    }
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    save_file(tensors, place / WEIGHTS_FILE, {"format": "pt"})
    with atomic_writer(place / CONFIG_FILE) as file:
        file.write(json.dumps(content, indent=2) + "\n")


def load_adapter(model: PreTrainedModel, folder: str | Path) -> None:
    """Puts a memory path from a folder into a model.

    Args:
        model: the base that it was trained with. It may have a memory path of the same configuration already.
        folder: written by ``save_adapter``, or by ``save_pretrained`` of a model with a memory path.

    Raises:
        ModelUnavailable: the folder holds no memory path, or a damaged one.
        UseError: it does not fit the model, which is left as it was.
    """
    place = Path(folder)
    kind, config, tensors = _read(place)
    own = model.get_decoder().config.model_type
    if kind != own:
        raise UseError(f"the memory in {place} is of a {kind} model, not of a {own} one", "use it with its own base")
    record = injection(model)
    if record is not None and record.config != config:
        raise UseError(f"the model has a memory path of another configuration than {place}", "eject(model) first")
    if record is None:
        inject(model, config)
    try:
        copy_weights(tensors, memory_parameters(model), "the memory")
    except ValueError as error:
        if record is None:
            eject(model)
        raise UseError(f"the memory in {place} does not fit this model: {error}", "use it with its own base") from error


def _read(place: Path) -> tuple[str, InfiniConfig, dict[str, Tensor]]:
    try:
        if (place / CONFIG_FILE).exists():
            content = json.loads((place / CONFIG_FILE).read_text(encoding="utf-8"))
            if (content["format"], content["version"]) != (FORMAT, VERSION):
                raise ValueError(f"format {content['format']!r} of version {content['version']!r} is not known")
            return content["model_type"], InfiniConfig.from_dict(content["config"]), load_file(place / WEIGHTS_FILE)
        return _of_model(place)
    except (OSError, KeyError, TypeError, AttributeError, ValueError, SafetensorError) as error:
        raise ModelUnavailable(
            f"there is no memory in {place} that can be read: {error}",
            "name a folder that save_adapter(model, folder) wrote",
        ) from error


def _of_model(place: Path) -> tuple[str, InfiniConfig, dict[str, Tensor]]:
    """The memory path in a folder that ``save_pretrained`` wrote."""
    content = json.loads((place / "config.json").read_text(encoding="utf-8"))
    for part in (content, *(value for value in content.values() if isinstance(value, dict))):
        if CONFIG_KEY in part:
            config = InfiniConfig.from_dict(_finite(part[CONFIG_KEY]))
            break
    else:
        raise ValueError("its model had none")
    tensors = {
        f"layers.{match[1]}.{match[2]}": tensor
        for file in sorted(place.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
        if (match := _OF_MODEL.search(name))
    }
    return part["model_type"], config, tensors


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """transformers writes infinity as ``{"__float__": "Infinity"}``."""
    decays = [one["__float__"] if isinstance(one, dict) else one for one in values["decay_tokens"]]
    return {**values, "decay_tokens": decays}
