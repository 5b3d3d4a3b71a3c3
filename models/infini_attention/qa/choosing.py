"""What answers: an engine, freely, or by choosing one of several answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from transformers import LogitsProcessorList

from ..memory.engine import Engine


class Generates(Protocol):
    """What answers: an engine, freely, or one that has a choice."""

    def generate(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        *,
        stop: Collection[int] = ...,
        processors: LogitsProcessorList | None = ...,
    ) -> Iterator[int]:
        """Yields the ids of the answer to a prompt (see ``Engine.generate``)."""


@dataclasses.dataclass(frozen=True, slots=True)
class OneOf:
    """Gives the answer that an engine finds likeliest, a token on average.

    Attributes:
        engine: it stays as it is.
        options: token ids of each answer, at least one.
    """

    engine: Engine
    options: Sequence[Sequence[int]]

    def generate(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        *,
        stop: Collection[int] = (),
        processors: LogitsProcessorList | None = None,
    ) -> Iterator[int]:
        """See ``Generates``; what processors are for, such as keeping loops out, is no concern of a chosen answer."""
        likelihoods = self.engine.likelihoods(prompt, self.options, stop=stop)
        yield from self.options[likelihoods.index(max(likelihoods))][:max_new_tokens]
