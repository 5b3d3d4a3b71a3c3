"""What one decoder layer carries from token to token: its memory, and what the open segment's tokens leave."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from .rules import Memory, Write

Pack = TypeVar("Pack", bound=tuple[Any, ...])


class Passed(NamedTuple):
    """What tokens hand on to the next one, token by token, so that the last ones can be taken back.

    Attributes:
        shift: ``[B, 1, T, rank]``, each token's part in its successor's memory key.
        key_states: ``[B, H, T, D]``, what the layer's gated key state holds after each (see ``gated_state``).
        value_states: ``[B, H, T, V]``, what its gated value state holds.
    """

    shift: Tensor | None = None
    key_states: Tensor | None = None
    value_states: Tensor | None = None


@dataclasses.dataclass(slots=True)
class LayerMemory:
    """What one decoder layer carries from token to token.

    Attributes:
        memory: what was read up to the last closed segment; ``None`` while nothing was.
        pending: what the open segment's tokens will write, in pieces as they came.
        passed: what they hand on, in the same pieces.
        learn_writes: track gradients of what is written even where the network runs without them.
    """

    memory: Memory | None = None
    pending: list[Write] = dataclasses.field(default_factory=list)
    passed: list[Passed] = dataclasses.field(default_factory=list)
    learn_writes: bool = False

    @property
    def previous(self) -> Tensor | None:
        """``[B, 1, rank]``, the last token's part in its successor's memory key; ``None`` at a segment's beginning."""
        shift = self.passed[-1].shift if self.passed else None
        return None if shift is None else shift[:, 0, -1:]

    @property
    def key_state(self) -> Tensor | None:
        """``[B, H, D]``, what the layer's gated key state holds."""
        states = self.passed[-1].key_states if self.passed else None
        return None if states is None else states[:, :, -1]

    @property
    def value_state(self) -> Tensor | None:
        """``[B, H, V]``, what its gated value state holds."""
        states = self.passed[-1].value_states if self.passed else None
        return None if states is None else states[:, :, -1]

    def open_write(self) -> Write:
        """What the open segment will write; it must not be empty."""
        return joined(self.pending)

    def visited(self) -> LayerMemory:
        """What a piece of text finds here; what it leaves is taken over by ``take``, or by nobody."""
        return dataclasses.replace(self, pending=[], passed=self.passed[-1:])

    def take(self, visit: LayerMemory) -> None:
        """Takes over what a piece of text left in a visit."""
        self.pending += visit.pending
        self.passed += visit.passed[-1:]

    def fork(self) -> LayerMemory:
        """A copy that goes on by itself, with the same tensors."""
        return dataclasses.replace(self, pending=list(self.pending), passed=list(self.passed))

    def close(self, memory: Memory) -> None:
        """Begins a segment with the memory that the last one left."""
        self.memory, self.pending, self.passed = memory, [], []

    def keep_first(self, tokens: int) -> None:
        """Takes back all tokens of the open segment but the first ones."""
        if tokens == 0:
            self.pending, self.passed = [], []
            return
        self.pending = [_first(joined(self.pending), tokens)]
        self.passed = [_first(joined(self.passed), tokens)]

    def map(self, change: Callable[[Tensor], Tensor]) -> None:
        """Replaces every tensor by ``change(tensor)``; the batch is always the first axis."""
        self.memory = None if self.memory is None else _each(self.memory, change)
        self.pending = [_each(write, change) for write in self.pending]
        self.passed = [_each(passed, change) for passed in self.passed]


def joined(pieces: Sequence[Pack]) -> Pack:
    """Pieces of a segment as one; tokens are the third axis."""
    if len(pieces) == 1:
        return pieces[0]
    columns: Any = zip(*pieces, strict=True)
    parts: list[Any] = [None if column[0] is None else torch.cat(column, 2) for column in columns]
    return type(pieces[0])(*parts)


def _first(pack: Pack, tokens: int) -> Pack:
    return _each(pack, lambda tensor: tensor[:, :, :tokens])


def _each(pack: Pack, change: Callable[[Tensor], Tensor]) -> Pack:
    parts: list[Any] = [None if tensor is None else change(tensor) for tensor in pack]
    return type(pack)(*parts)
