"""Which adapter of a model is in force: one at most, and none while a memory is written.

An adapter is a second skill of the same base, such as answering from passages. Switching one goes over all of its layers, so it
is done when another one is needed and not at every token.
"""

from __future__ import annotations

from typing import Protocol

from torch import nn

from .stand_ins import stand_ins

_NAME = "_infini_in_force"


class Switchable(Protocol):
    """An adapter that can be switched."""

    def on(self) -> None:
        """The model has it from here on."""

    def off(self) -> None:
        """The model is what it was without it."""


def in_force(model: nn.Module) -> Switchable | None:
    """The adapter that a model has at the moment."""
    return getattr(model, _NAME, None)


def put_in_force(model: nn.Module, adapter: Switchable | None) -> None:
    """Gives a model one adapter, or none; nothing is done where that is so already."""
    before = in_force(model)
    if before is adapter:
        return
    if before is not None:
        before.off()
    if adapter is not None:
        adapter.on()
    setattr(model, _NAME, adapter)
    if (found := stand_ins(model)) is not None:
        found.look_again()
