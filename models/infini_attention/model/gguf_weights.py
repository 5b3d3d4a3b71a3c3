"""GGUF to what transformers loads: bf16 safetensors with a configuration and a tokenizer."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np
import torch
from gguf.quants import dequantize
from safetensors import SafetensorError
from torch import Tensor

from ..errors import ModelUnavailable

_ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}


# Rows that are made numbers at a time.
_ROWS = 8192


class _Reader(gguf.GGUFReader):
    """Reads the same three times as fast: a slice of a memory map costs more than one of an array that looks at it."""

    @property
    def data(self) -> Any:
        return self._data

    @data.setter
    def data(self, mapped: Any) -> None:
        self._data = np.asarray(mapped)


def convert(file: Path, target: Path) -> None:
    """Turns a GGUF file into bf16 safetensors with a configuration and a tokenizer.

    Tensor by tensor, so that no more than the model itself and its largest tensor in float32 are in memory.

    Args:
        file: of a Llama or Qwen2 architecture.
        target: folder to write; it is made.

    Raises:
        ModelUnavailable: it is damaged, or of another architecture.
        OSError: it cannot be written.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        with _read_once() as read, contextlib.redirect_stderr(io.StringIO()):
            config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            tensors = read(file)
            architecture = str(tensors.fields["general.architecture"].contents())
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise ModelUnavailable(f"{file.name} is no GGUF file that can be read: {error}", "fetch it anew") from error
    # The weights are plain numbers now; transformers would not save a model that calls itself quantised.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    _fill(model, tensors, architecture)
    try:
        model.save_pretrained(target)
    except SafetensorError as error:
        # Its own errors of the disk are no OSError.
        raise OSError(str(error)) from error
    tokenizer.save_pretrained(target)


@contextlib.contextmanager
def _read_once() -> Iterator[Any]:
    """Gives what reads a GGUF file, once: transformers would read it anew for the configuration and the tokenizer, and
    150,000 tokens by the name take a while."""
    library, slow = cast(Any, gguf), gguf.GGUFReader
    read = functools.cache(lambda path: _Reader(path))
    library.GGUFReader = lambda path, mode="r": read(str(path))
    try:
        yield lambda path: read(str(path))
    finally:
        library.GGUFReader = slow


def _fill(model: Any, reader: Any, architecture: str) -> None:
    """Copies the tensors of a file into a model."""
    if architecture not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise ModelUnavailable(f"weights of architecture {architecture!r} cannot be converted", f"known are {known}")
    config = model.config
    names = gguf.get_tensor_name_map(_ARCHITECTURES[architecture], config.num_hidden_layers)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            stem, _, kind = name.rpartition(".")
            tensor = stored.get(f"{names.get_name(stem)}.{kind}")
            if tensor is None:
                raise ModelUnavailable(f"the GGUF file has no tensor for {name}", "fetch it anew")
            values = _numbers(tensor)
            if architecture == "llama" and ".self_attn." in name and ("q_proj" in name or "k_proj" in name):
                heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
                values = _halves(values, heads)
            parameter.copy_(values)


def _numbers(tensor: Any) -> Tensor:
    """A tensor in bf16, with few of its rows in float32 at a time."""
    rows = [
        torch.from_numpy(np.require(dequantize(slab, tensor.tensor_type), requirements="W")).to(torch.bfloat16)
        for slab in np.array_split(tensor.data, -(-len(tensor.data) // _ROWS))
    ]
    return torch.cat(rows)


def _halves(rows: Tensor, heads: int) -> Tensor:
    """Rotary pairs of a head as transformers has them, its halves; llama.cpp keeps them side by side for this architecture.

    Args:
        rows: ``[H * D, ...]``.
        heads: H.
    """
    pairs: Tensor = rows.unflatten(0, (heads, -1, 2))
    return pairs.transpose(1, 2).reshape(rows.shape)
