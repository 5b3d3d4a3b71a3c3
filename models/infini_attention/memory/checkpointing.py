"""Gradient checkpointing: layers that are computed again on the way back find what they found on the way there."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import torch
from torch import nn

from ..errors import UseError
from .tap import Here


def in_use(decoder: nn.Module, layers: Iterable[nn.Module]) -> bool:
    """Whether layers of a decoder will be computed again on the way back, which keeps no keys and values."""
    return decoder.training and any(getattr(layer, "gradient_checkpointing", False) for layer in layers)


@contextlib.contextmanager
def remembered(layers: Iterable[nn.Module], here: Here) -> Iterator[None]:
    """Inside, a layer that is checkpointed will find the same piece of text whenever it is computed again."""
    changed = [cast(Any, layer) for layer in layers if getattr(layer, "gradient_checkpointing", False)]
    before = [layer._gradient_checkpointing_func for layer in changed]
    for layer, function in zip(changed, before, strict=True):
        layer._gradient_checkpointing_func = functools.partial(_checkpoint, function, here)
    try:
        yield
    finally:
        for layer, function in zip(changed, before, strict=True):
            layer._gradient_checkpointing_func = function


def _checkpoint(function: Callable[..., Any], here: Here, run: Callable[..., Any], *args: Any) -> Any:
    reading, grad = here.reading, torch.is_grad_enabled()
    passes = 0

    def passing(*inputs: Any) -> Any:
        nonlocal passes
        passes += 1
        if passes == 1:
            if grad and not torch.is_grad_enabled():
                raise UseError(
                    "reentrant checkpointing loses the gradients of what is written into memory",
                    'pass gradient_checkpointing_kwargs={"use_reentrant": False}',
                )
            return run(*inputs)
        before, here.reading = here.reading, None if reading is None else reading.again()
        try:
            return run(*inputs)
        finally:
            here.reading = before

    return function(passing, *args)
