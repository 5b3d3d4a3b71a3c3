"""Linear maps as a base has them while it answers on a processor: adapters cost two small products, single tokens 8-bit weights.

They stand in the place of the maps' own forward while an answer is prepared and given, and at no other time: what is read into
memory goes through the maps themselves, so states do not depend on any of this.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from .int8_weights import Int8Weights, fits

FLOAT32, INT8 = WEIGHTS = ("float32", "int8")
_NAME = "_infini_stand_ins"


class Low(NamedTuple):
    """The low-rank change of an adapter: ``scale * up @ down`` is added to the weights.

    Attributes:
        down: ``[rank, K]``.
        up: ``[N, rank]``.
        scale: what it is multiplied with.
    """

    down: Tensor
    up: Tensor
    scale: float


class StandIn:
    """Stands in the place of a linear map's forward, for the adapters that are in force when it is made.

    Args:
        linear: the map's own layer.
        low: changes of the adapters in force.

    Attributes:
        fits: whether its weights can be had in 8 bits.
        single: whether a single token is multiplied with them; they are made when the first one comes.
    """

    def __init__(self, linear: nn.Linear, low: tuple[Low, ...]) -> None:
        self.linear, self.low = linear, low
        parts = [linear.weight, *_parts(low)]
        # Of tensors that were made in inference nobody can tell whether they have changed.
        self.fits = fits(linear.weight) and not any(part.is_inference() for part in parts)
        self.single = False
        self.made_of: tuple[int, ...] = ()
        self._packed: Int8Weights | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """See the map's own forward."""
        linear = self.linear
        if self.single and x.numel() == linear.in_features:
            product = self.packed().product(x.view(-1))
            if linear.bias is not None:
                product += linear.bias
            return product.view(*x.shape[:-1], -1)
        outputs = F.linear(x, linear.weight, linear.bias)
        for down, up, scale in self.low:
            rows = outputs.view(-1, outputs.shape[-1])
            rows.addmm_(x.reshape(-1, x.shape[-1]) @ down.T, up.T, alpha=scale)
        return outputs

    def packed(self) -> Int8Weights:
        """The weights in 8 bits, with the adapters' changes; they are made anew where the weights are no longer the same."""
        if self._packed is None or self.made_of != self.versions():
            self.made_of = self.versions()
            weight = self.linear.weight.detach()
            for down, up, scale in self.low:
                weight = torch.addmm(weight, up, down, alpha=scale)
            self._packed = Int8Weights(weight)
        return self._packed

    def versions(self) -> tuple[int, ...]:
        """Changes where the weights do."""
        parts = [self.linear.weight, *_parts(self.low)]
        return tuple(number for part in parts for number in (part.data_ptr(), part._version))


class StandIns:
    """The stand-ins of a model; copies of the model make their own.

    Args:
        weights: what single tokens are multiplied with, one of ``WEIGHTS``; it may be changed.
    """

    def __init__(self, weights: str) -> None:
        self.weights = weights
        self._known: dict[tuple[int, ...], StandIn] = {}
        self._places: list[tuple[nn.Module, StandIn]] | None = None

    def __reduce__(self) -> tuple[type[StandIns], tuple[str]]:
        return StandIns, (self.weights,)

    def look_again(self) -> None:
        """Maps may have come or gone: adapters were added or switched."""
        self._places = None

    def places(self, model: nn.Module) -> list[tuple[nn.Module, StandIn]]:
        """All maps that something can stand in for, with what does."""
        if self._places is None or self._switched():
            self._forget_what_went(model)
            self._places = [(module, self._of(linear, low)) for module, linear, low in _maps(model)]
        return self._places

    def _switched(self) -> bool:
        # By hand, all at once, as peft does.
        wrapper, one = next(
            ((module, one) for module, one in self._places or () if module is not one.linear), (None, None)
        )
        return one is not None and tuple(map(id, _parts(_changes(wrapper)))) != tuple(map(id, _parts(one.low)))

    def _of(self, linear: nn.Linear, low: tuple[Low, ...]) -> StandIn:
        key = id(linear), *map(id, _parts(low))
        if key not in self._known:
            self._known[key] = StandIn(linear, low)
        return self._known[key]

    def _forget_what_went(self, model: nn.Module) -> None:
        # What is known holds its tensors, so that no other one has its number.
        here = {id(module) for module in model.modules()} | {id(parameter) for parameter in model.parameters()}
        self._known = {key: one for key, one in self._known.items() if here.issuperset(key)}


def use_stand_ins(model: PreTrainedModel, weights: str) -> None:
    """Has a model that is on a processor, in float32, answer with stand-ins for its linear maps.

    Args:
        model: whose weights are not trained meanwhile.
        weights: what single tokens are multiplied with, one of ``WEIGHTS``.
    """
    model.__dict__[_NAME] = StandIns(weights)


def stand_ins(model: nn.Module) -> StandIns | None:
    """The stand-ins of a model, where it has any."""
    return cast("StandIns | None", model.__dict__.get(_NAME))


@contextlib.contextmanager
def standing_in(model: nn.Module, *, single: bool = False) -> Iterator[None]:
    """Inside, the model's linear maps are the stand-ins, where it has any; only in inference, and by one thread at a time.

    Args:
        model: in evaluation mode.
        single: whether single tokens are multiplied with 8-bit weights, if the stand-ins have them.
    """
    found = stand_ins(model)
    if found is None or torch.is_grad_enabled() or model.training:
        yield
        return
    places, single = found.places(model), single and found.weights == INT8
    for module, stand_in in places:
        stand_in.single = single and stand_in.fits
        module.__dict__["forward"] = stand_in
    try:
        yield
    finally:
        for module, _ in places:
            module.__dict__.pop("forward", None)


def _maps(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Linear, tuple[Low, ...]]]:
    """The linear maps with nothing around them but LoRA of peft: the module, the layer in it, and adapters in force."""
    lora: Any = getattr(sys.modules.get("peft.tuners.lora.layer"), "Linear", None)
    inside: set[nn.Module] = set()
    for module in model.modules():
        if module in inside or "forward" in module.__dict__:
            continue
        if lora is not None and type(module) is lora:
            wrapper = cast(Any, module)
            inside.update(one for one in wrapper.modules() if one is not wrapper)
            linear = wrapper.base_layer
            plain = not (
                wrapper.merged or wrapper.lora_variant or linear._forward_hooks or "forward" in linear.__dict__
            )
            if type(linear) is nn.Linear and plain:
                yield module, linear, tuple(_changes(wrapper))
        elif type(module) is nn.Linear:
            yield module, module, ()


def _parts(low: Iterable[Low]) -> list[Tensor]:
    return [part for change in low for part in (change.down, change.up)]


def _changes(wrapper: Any) -> Iterator[Low]:
    for name in () if wrapper.disable_adapters else wrapper.active_adapters:
        if name in wrapper.lora_A:
            yield Low(wrapper.lora_A[name].weight, wrapper.lora_B[name].weight, wrapper.scaling[name])
