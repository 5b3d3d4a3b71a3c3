"""Puts the memory path into a Hugging Face decoder, and takes it out again.

Only transformers' own interfaces are used: an attention function that wraps the base's, hooks on the projections, and
a forward of the decoder that hands it the input one segment at a time. No model code is copied, so ``device_map``,
quantised bases and ``generate`` stay what they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .cache import InfiniCache, LayerMemory, OpenSegment
from .config import InfiniConfig
from .ngrams import TokenSigns
from .path import HeadShape, MemoryPath, Projected

PREFIX = "infini_"


@dataclasses.dataclass
class Injection:
    """The record that a decoder keeps of its memory path."""

    config: InfiniConfig
    base_attention: str
    taps: dict[int, _Tap]
    signs: TokenSigns | None = None
    enabled: bool = True
    # Recordings of whole segments by kind, or how many of a kind were read without one (see ``segment_graph``).
    graphs: dict[Any, Any] = dataclasses.field(default_factory=dict)


class _Tap:
    """Catches an attention layer's projections on their way, between its pre-hook and its attention function."""

    def __init__(self, attention: nn.Module, index: int, path: MemoryPath) -> None:
        self.path, self.index = path, index
        self.layer: LayerMemory | None = None
        self.signs: Tensor | None = None
        self.ngrams: Tensor | None = None
        self.caught: dict[str, Tensor] = {}
        self.handles = [attention.register_forward_pre_hook(self._enter, with_kwargs=True)]
        for name in ("q_proj", "k_proj", "v_proj"):
            projection = cast(nn.Module, getattr(attention, name))
            self.handles.append(projection.register_forward_hook(self._catcher(name)))

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        cache = kwargs.get("past_key_values")
        self.layer = self.signs = self.ngrams = None
        if isinstance(cache, OpenSegment):
            self.layer, self.signs, self.ngrams = cache.memories[self.index], cache.signs, cache.ngrams
        self.caught = {"hidden": args[0] if args else kwargs["hidden_states"]}

    def _catcher(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def catch(module: nn.Module, args: Any, output: Tensor) -> None:
            if self.layer is not None:
                self.caught[name] = output

        return catch

    def attend(self, attention: nn.Module, local: Tensor) -> Tensor:
        """Local attention, with what the memory holds added to it."""
        if self.layer is None:
            return local
        shape = self.path.shape
        hidden = self.caught["hidden"]

        def heads(name: str, norm: str) -> Tensor:
            states = self.caught[name].unflatten(-1, (-1, shape.size))
            normalise = getattr(attention, norm, None)
            return states if normalise is None else cast(Tensor, normalise(states))

        projected = (heads("q_proj", "q_norm"), heads("k_proj", "k_norm"), heads("v_proj", "v_norm"))
        inputs = Projected(hidden, *projected, self.ngrams, self.signs)
        layer, self.caught = self.layer, {}
        self.layer = self.signs = self.ngrams = None
        return cast(Tensor, self.path(inputs, local, layer))


def inject(model: PreTrainedModel, config: InfiniConfig) -> None:
    """Adds a memory path to every layer that the configuration names; base weights stay as they are.

    Args:
        model: a decoder-only language model whose attention has separate ``q_proj``, ``k_proj`` and ``v_proj``.
        config: configuration of the memory path.

    Raises:
        ValueError: the model has a memory path already, or an architecture that cannot carry one.
    """
    decoder = _decoder(model)
    if hasattr(decoder, "infini"):
        raise ValueError("the model has a memory path already; eject it first")
    layers = decoder.layers
    indices = range(len(layers)) if config.layers is None else config.layers
    if indices[-1] >= len(layers):
        raise ValueError(f"the base has {len(layers)} layers, so layer {indices[-1]} cannot carry a memory")
    attentions = {index: _attention(layers[index]) for index in indices}
    base_attention = model.config._attn_implementation or "sdpa"
    # "eager" is a function of each model's own file, which no registry holds.
    local_attention = base_attention if base_attention in ALL_ATTENTION_FUNCTIONS else "sdpa"
    taps = {}
    for index, attention in attentions.items():
        attention.infini = MemoryPath(config, _head_shape(attention), _device(model, attention), index)
        taps[index] = _Tap(attention, index, attention.infini)
        attention._infini_tap = taps[index]
    signs = None
    if config.ngrams or config.key_state_layers:
        shape = taps[indices[0]].path.shape
        signs = TokenSigns(cast(nn.Embedding, model.get_input_embeddings()), shape.kv_heads, shape.size)
    decoder.infini = Injection(config, base_attention, taps, signs)
    decoder.forward = _segmented(decoder, decoder.forward)
    model.set_attn_implementation(_registered(local_attention))


def eject(model: PreTrainedModel) -> None:
    """Takes the memory path out: what is left is the base, bit for bit. No path, nothing to do."""
    decoder = _decoder(model)
    record = injection(model)
    if record is None:
        return
    for index, tap in record.taps.items():
        for handle in tap.handles:
            handle.remove()
        attention = _attention(decoder.layers[index])
        del attention.infini
        del attention._infini_tap
    decoder.forward = decoder.forward.__wrapped__
    if getattr(decoder.forward, "__func__", None) is type(decoder).forward:
        del decoder.forward
    del decoder.infini
    model.set_attn_implementation(record.base_attention)


def injection(model: PreTrainedModel) -> Injection | None:
    """The model's memory path, if it has one."""
    return cast("Injection | None", getattr(_decoder(model), "infini", None))


def new_cache(model: PreTrainedModel) -> InfiniCache:
    """An empty cache for a model with a memory path, to be passed as ``past_key_values``.

    Raises:
        ValueError: the model has no memory path.
    """
    record = injection(model)
    if record is None:
        raise ValueError("the model has no memory path; inject one first")
    return InfiniCache(_decoder(model).config, record.config)


@contextlib.contextmanager
def memory_off(model: PreTrainedModel) -> Iterator[None]:
    """Inside, the model is its base: segments, memories and their caches play no part."""
    record = injection(model)
    if record is None:
        yield
        return
    before, record.enabled = record.enabled, False
    try:
        yield
    finally:
        record.enabled = before


def memory_paths(model: PreTrainedModel) -> dict[int, MemoryPath]:
    """The memory path of each layer that has one."""
    record = injection(model)
    return {} if record is None else {index: tap.path for index, tap in record.taps.items()}


def memory_parameters(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """Parameters of the memory path by adapter name, ``layers.3.query_up`` and so on, in the order of layers."""
    if injection(model) is None:
        raise ValueError("the model has no memory path; inject one first")
    return {
        f"layers.{index}.{name}": parameter
        for index, path in memory_paths(model).items()
        for name, parameter in path.named_parameters()
    }


def load_adapter(model: PreTrainedModel, tensors: Mapping[str, Tensor]) -> None:
    """Copies an adapter's tensors into the memory path.

    Raises:
        ValueError: names or shapes are not those of this path.
    """
    copy_weights(tensors, memory_parameters(model), "the adapter")


def copy_weights(tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], what: str) -> None:
    """Copies tensors into the parameters of the same names; ``what`` they are is told where they do not fit.

    Raises:
        ValueError: names or shapes differ.
    """
    if odd := sorted(set(parameters) ^ set(tensors)):
        raise ValueError(f"{what} does not fit the model: {odd[0]} and {len(odd) - 1} more names differ")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != tensors[name].shape:
                raise ValueError(f"{what}'s {name} is {tuple(tensors[name].shape)}, not {tuple(parameter.shape)}")
            parameter.copy_(tensors[name])


def _decoder(model: PreTrainedModel) -> Any:
    return model.get_decoder()


def _attention(layer: nn.Module) -> Any:
    attention = getattr(layer, "self_attn", None)
    wanted = ("q_proj", "k_proj", "v_proj", "head_dim")
    if attention is None or any(not hasattr(attention, name) for name in wanted):
        raise ValueError(f"{type(layer).__name__} has no attention with separate query, key and value projections")
    return attention


def _device(model: PreTrainedModel, attention: nn.Module) -> torch.device:
    """Where a layer computes."""
    # Offloaded weights stand on "meta" between two calls; accelerate's hook knows where they come to.
    hook = getattr(attention.q_proj, "_hf_hook", None)
    place = getattr(hook, "execution_device", None)
    if place is not None:
        return torch.device(place)
    # A quantised projection need not have a weight; some keep no tensor of their own at all.
    for tensor in (*attention.parameters(), *attention.buffers()):
        return tensor.device
    return cast(Tensor, model.get_input_embeddings().weight).device


def _head_shape(attention: Any) -> HeadShape:
    size = attention.head_dim
    return HeadShape(
        attention.q_proj.in_features,
        attention.q_proj.out_features // size,
        attention.k_proj.out_features // size,
        size,
    )


def _registered(base: str) -> str:
    """Registers, once a base implementation, the attention function that adds the memory to it."""
    name = PREFIX + base
    if name not in ALL_ATTENTION_FUNCTIONS:
        base_function = ALL_ATTENTION_FUNCTIONS[base]

        def attend(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
            local, weights = base_function(module, *args, **kwargs)
            tap = getattr(module, "_infini_tap", None)
            return (local if tap is None else tap.attend(module, local)), weights

        AttentionInterface.register(name, attend)
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[base])
    return name


def _segmented(decoder: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    """The decoder's forward, run once a piece that fits into the open segment."""

    def forward(
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        record: Injection = decoder.infini
        if not record.enabled:
            return original(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                inputs_embeds=inputs_embeds,
                use_cache=use_cache,
                **kwargs,
            )
        if past_key_values is not None and not isinstance(past_key_values, InfiniCache):
            raise ValueError(
                "a model with a memory path keeps its state in an InfiniCache: pass past_key_values=new_cache(model)"
            )
        _refuse_padding(attention_mask)
        cache = InfiniCache(decoder.config, record.config) if past_key_values is None else past_key_values
        whole = cast(Tensor, input_ids if inputs_embeds is None else inputs_embeds)
        name = "input_ids" if inputs_embeds is None else "inputs_embeds"

        def run(piece: Tensor) -> Any:
            if record.signs is not None:
                embedded = decoder.get_input_embeddings()(piece) if inputs_embeds is None else piece
                cache.local.see(record.signs(embedded), record.config.ngrams)
            # Positions act within a segment only, so they count from its start.
            positions = torch.arange(cache.open_tokens, cache.open_tokens + piece.shape[1], device=whole.device)
            output = original(
                **{name: piece},
                position_ids=positions[None],
                past_key_values=cache.local,
                use_cache=True,
                **kwargs,
            )
            cache.advance(piece.shape[1])
            return output

        outputs, start = [], 0
        while start < whole.shape[1]:
            piece = whole[:, start : start + cache.room]
            cache.keep(piece)
            outputs.append(run(piece))
            if (again := cache.begin_again()) is not None:
                run(again)
            start += piece.shape[1]
        return _joined(outputs, cache if past_key_values is not None or use_cache else None)

    forward.__wrapped__ = original  # type: ignore[attr-defined]
    return forward


def _refuse_padding(attention_mask: Tensor | None) -> None:
    # One new token can only be told apart by its padding before, which was refused when it came.
    if attention_mask is None or attention_mask.shape[-1] <= 1:
        return
    if attention_mask.ndim != 2 or not bool(attention_mask.all()):
        raise ValueError("a memory path takes whole sequences of equal length: no padding and no custom masks")


def _joined(outputs: list[Any], cache: InfiniCache | None) -> Any:
    if len(outputs) == 1:
        outputs[0].past_key_values = cache
        return outputs[0]

    def along_layers(name: str) -> tuple[Tensor, ...] | None:
        parts = [getattr(output, name, None) for output in outputs]
        return None if parts[0] is None else tuple(torch.cat(layer, 1) for layer in zip(*parts, strict=True))

    return BaseModelOutputWithPast(
        last_hidden_state=torch.cat([output.last_hidden_state for output in outputs], 1),
        past_key_values=cache,
        hidden_states=along_layers("hidden_states"),
    )
