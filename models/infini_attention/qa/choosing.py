"""Who answers from passages in view: with a reader or without, and freely or by choosing one of several answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from transformers import LogitsProcessorList

from ..memory.engine import Engine
from ..model.adapters import LowRankChanges
from ..model.loading import Loaded
from .reader import by_passages


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


def from_passages(
    loaded: Loaded,
    passages: Sequence[Sequence[int]],
    remembered: Callable[[], Engine],
    *,
    reader: LowRankChanges | None = None,
    options: Sequence[str] = (),
) -> Generates:
    """What answers with passages in view.

    Args:
        loaded: the model.
        passages: token ids each, together fewer than a segment has.
        remembered: gives the engine with what was read, which stays as it is; asked only where there is no reader.
        reader: in force meanwhile; it goes by the passages alone.
        options: the only possible answers; none: any are.
    """
    engine = remembered().reading_again(passages) if reader is None else by_passages(loaded.model, reader, passages)
    return OneOf(engine, [loaded.encode(option) for option in options]) if options else engine
