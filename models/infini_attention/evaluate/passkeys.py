"""The passkey test: is a five-digit key still known after a haystack was read, by where it stood and how long it was?"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.passkey import Passkey
from ..errors import InfiniError
from ..memory.state import MemoryState
from ..model.loading import Loaded
from .probes import Probe, Scores, Series
from .probes import run as run_probes

SCHEMA = "infini.passkey/1"


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid.

    Attributes:
        length: tokens of the whole prompt, question included.
        depth: where the key stood, in percent of the hay.
        trials: keys drawn.
        exact: share of trials whose generated key was the key, 0 to 1.
    """

    length: int
    depth: float
    trials: int
    exact: float


def grid(
    passkey: Passkey,
    lengths: Sequence[int],
    depths: Sequence[float] = (0, 50, 100),
    trials: int = 10,
    seed: int = 0,
    *,
    hay: Sequence[int] | Tensor | None = None,
) -> list[Series]:
    """A series of keys for each length and depth.

    Args:
        passkey: the prompt's pieces.
        lengths: tokens of the prompts.
        depths: percent, from 0 (right after the introduction) to 100 (right before the question).
        trials: keys a series.
        seed: of keys and stretches of hay; what a trial draws does not depend on other trials.
        hay: token ids of a text to hide keys in, a stretch drawn for each trial; by default the paper's filler.

    Raises:
        InfiniError: a length has no room for a key, or the hay is shorter than a length.
    """
    text = None if hay is None else torch.as_tensor(hay)
    least = len(passkey.intro) + len(passkey.needle(10_000)) + passkey.question_tokens
    for length in lengths:
        if length < least:
            raise InfiniError(f"a prompt of {length} tokens has no room for a key", f"use lengths of at least {least}")
        if text is not None and len(text) < length:
            raise InfiniError(
                f"the haystack has {len(text)} tokens, fewer than the length {length}",
                "use a longer text, or shorter lengths",
            )
    return [
        Series(
            {"length": length, "depth": depth},
            trials,
            functools.partial(_probe, passkey, text, length, depth, seed),
            length * trials,
        )
        for length in lengths
        for depth in depths
    ]


def run(
    loaded: Loaded,
    lengths: Sequence[int],
    depths: Sequence[float] = (0, 50, 100),
    trials: int = 10,
    seed: int = 0,
    *,
    hay: Sequence[int] | None = None,
    state: MemoryState | None = None,
    use_memory: bool = True,
    on_cell: Callable[[Cell], None] = lambda cell: None,
    on_tokens: Callable[[int], None] = lambda tokens: None,
) -> list[Cell]:
    """Hides keys, reads, asks, and compares what is generated greedily.

    Args:
        loaded: the model.
        lengths, depths, trials, seed, hay: see ``grid``.
        state: a memory to start from, for how much room is left in it.
        use_memory: ``False`` answers from the open segment alone.
        on_cell: called with each finished cell.
        on_tokens: called with the number of prompt tokens of each finished trial.

    Returns:
        Cells, lengths in the order given, depths within each.

    Raises:
        InfiniError: a length has no room for a key, or the hay is shorter than a length.
    """
    series = grid(Passkey(loaded.encode), lengths, depths, trials, seed, hay=hay)
    start = loaded.engine(use_memory=use_memory)
    if state is not None:
        start.restore(state, loaded.origin)
    results = run_probes(
        start, loaded.tokenizer.decode, series, on_series=lambda scores: on_cell(_cell(scores)), on_tokens=on_tokens
    )
    return [_cell(scores) for scores in results]


def report(cells: Sequence[Cell]) -> dict[str, object]:
    """The cells as a JSON object of schema ``infini.passkey/1``."""
    return {"schema": SCHEMA, "cells": [dataclasses.asdict(cell) for cell in cells]}


def _probe(passkey: Passkey, text: Tensor | None, length: int, depth: float, seed: int, trial: int) -> Probe:
    rng = np.random.default_rng([seed, length, round(depth * 1000), trial])
    key = passkey.draw(rng)
    body = length - passkey.question_tokens
    if text is None:
        stretch = passkey.filler(body)
    else:
        start = int(rng.integers(len(text) - body + 1))
        stretch = text[start : start + body]

    def score(answer: str) -> dict[str, float]:
        match = re.match(r"\s*(\d+)", answer)
        return {"exact": float(match is not None and match[1] == str(key))}

    hidden = passkey.hide(stretch, key, depth / 100)
    return Probe(hidden, tuple(passkey.question.tolist()), passkey.answer_tokens, score)


def _cell(scores: Scores) -> Cell:
    length, depth = scores.labels["length"], scores.labels["depth"]
    return Cell(int(length), float(depth), len(scores.scores), scores.mean)
