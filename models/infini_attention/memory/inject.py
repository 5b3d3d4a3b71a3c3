"""Puts the memory path into a Hugging Face decoder, and takes it out again.

Only transformers' own interfaces are used: an attention function that wraps the base's, hooks on the projections, and
a forward of the decoder that hands it the input one segment at a time. No model code is copied, so ``device_map``,
quantised bases and ``generate`` stay what they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..errors import UseError
from . import attention_function, generation
from .bases import require_base
from .cache import InfiniCache
from .config import InfiniConfig
from .forward import SegmentedForward
from .injection import Injection
from .ngrams import TokenSigns
from .path import MemoryPath
from .tap import Tap

# What a model's configuration, and so a folder that it is saved in, says of its memory path.
CONFIG_KEY = "infini_attention"


def inject(model: PreTrainedModel, config: InfiniConfig) -> None:
    """Adds a memory path to every layer that the configuration names; base weights stay as they are, and are frozen.

    Args:
        model: a decoder-only language model whose attention has separate ``q_proj``, ``k_proj`` and ``v_proj``, or a fused
            projection of a layout that is known. Adapters of peft that are in it stay as trainable as they were.
        config: configuration of the memory path.

    Raises:
        UseError: the model has a memory path already, or an architecture that cannot carry one. It is left as it was.
    """
    decoder = _decoder(model)
    if hasattr(decoder, "infini"):
        raise UseError("the model has a memory path already; eject it first", "eject(model)")
    found = require_base(decoder, config)
    base = attention_function.require(decoder, [attention for attention, _ in found.values()])
    signs = None
    if config.ngrams or config.key_state_layers:
        shape = next(iter(found.values()))[1].shape
        signs = TokenSigns(cast(nn.Embedding, model.get_input_embeddings()), shape.kv_heads, shape.size)
    record = Injection(config, base, signs)
    frozen = _trainable(model)
    for index, (attention, layout) in found.items():
        device = _device(model, attention, layout.projections[0])
        attention.infini = MemoryPath(config, layout.shape, device, index)
        attention._infini_tap = record.taps[index] = Tap(record.here, attention, index, layout)
    decoder.infini = record
    decoder.forward = SegmentedForward(decoder)
    setattr(decoder.config, CONFIG_KEY, config.to_dict())
    generation.put_in(model, decoder)
    for parameter in frozen.values():
        parameter.requires_grad_(False)
    record.frozen = list(frozen)
    try:
        attention_function.switch(decoder, attention_function.registered(base))
    except BaseException:
        eject(model)
        raise


def eject(model: PreTrainedModel) -> None:
    """Takes the memory path out: what is left is the base, bit for bit. No path, nothing to do.

    Raises:
        UseError: something else was put around the decoder since then, such as hooks of accelerate.
    """
    decoder = _decoder(model)
    record = injection(model)
    if record is None:
        return
    if not isinstance(decoder.forward, SegmentedForward):
        raise UseError(
            "the decoder's forward was wrapped after inject, so the memory cannot be taken out from inside",
            "undo that first, such as with accelerate.hooks.remove_hook_from_module(decoder)",
        )
    generation.take_out(model)
    for tap in record.taps.values():
        tap.remove()
        del tap.attention.infini
        del tap.attention._infini_tap
    wrapped = decoder.forward.wrapped
    del decoder.forward
    if wrapped is not None:
        decoder.forward = wrapped
    del decoder.infini
    if hasattr(decoder.config, CONFIG_KEY):
        delattr(decoder.config, CONFIG_KEY)
    parameters = dict(model.named_parameters())
    for name in record.frozen:
        if name in parameters:
            parameters[name].requires_grad_(True)
    attention_function.switch(decoder, record.base_attention)


def injection(model: PreTrainedModel) -> Injection | None:
    """The model's memory path, if it has one."""
    return cast("Injection | None", getattr(_decoder(model), "infini", None))


def require_injection(model: PreTrainedModel) -> Injection:
    """The model's memory path.

    Raises:
        UseError: it has none.
    """
    record = injection(model)
    if record is None:
        saved = hasattr(_decoder(model).config, CONFIG_KEY)
        raise UseError(
            "the model has no memory path; inject one first",
            "it was saved with one: load_adapter(model, folder)" if saved else "inject(model, InfiniConfig())",
        )
    return record


def new_cache(model: PreTrainedModel) -> InfiniCache:
    """An empty cache for a model with a memory path, to be passed as ``past_key_values``.

    Raises:
        UseError: the model has no memory path.
    """
    return InfiniCache(_decoder(model).config, require_injection(model).config)


@contextlib.contextmanager
def memory_off(model: PreTrainedModel) -> Iterator[None]:
    """Inside, the model is its base: segments, memories and their caches play no part. Other threads are not inside."""
    record = injection(model)
    if record is None:
        yield
        return
    before, record.here.enabled = record.here.enabled, False
    try:
        yield
    finally:
        record.here.enabled = before


def _decoder(model: PreTrainedModel) -> Any:
    return model.get_decoder()


def _device(model: PreTrainedModel, attention: nn.Module, projection: str) -> torch.device:
    """Where a layer computes."""
    # Offloaded weights stand on "meta" between two calls; accelerate's hook knows where they come to.
    hook = getattr(getattr(attention, projection), "_hf_hook", None)
    place = getattr(hook, "execution_device", None)
    if place is not None:
        return torch.device(place)
    # A quantised projection need not have a weight; some keep no tensor of their own at all.
    for tensor in (*attention.parameters(), *attention.buffers()):
        return tensor.device
    return cast(Tensor, model.get_input_embeddings().weight).device


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """What of a base can be trained, less what adapters of peft have put there."""
    adapters = {
        id(parameter)
        for module in model.modules()
        for name in getattr(module, "adapter_layer_names", ())
        for parameter in getattr(module, name).parameters()
    }
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and id(parameter) not in adapters
    }
