"""The passkey test: is a five-digit key still known after a haystack was read, by where it stood and how long it was?"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..engine import Engine
from ..errors import InfiniError
from ..loading import Loaded
from ..passkey import Passkey
from ..state import MemoryState

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
        lengths: tokens of the prompts.
        depths: percent, from 0 (right after the introduction) to 100 (right before the question).
        trials: keys a cell.
        seed: of keys and stretches of hay; a cell's draws do not depend on the other cells.
        hay: token ids of a text to hide keys in, a stretch drawn for each trial; by default the paper's filler.
        state: a memory to start from, for how much room is left in it.
        use_memory: ``False`` answers from the open segment alone.
        on_cell: called with each finished cell.
        on_tokens: called with the number of prompt tokens of each finished trial.

    Returns:
        Cells, lengths in the order given, depths within each.

    Raises:
        InfiniError: a length has no room for a key, or the hay is shorter than a length.
    """
    passkey = Passkey(loaded.encode)
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
    reader = _PrefixReader(loaded, state, use_memory)
    cells = []
    for length in lengths:
        for depth in depths:
            rng = np.random.default_rng([seed, length, round(depth * 1000)])
            hits = 0
            for _ in range(trials):
                key = passkey.draw(rng)
                body = length - passkey.question_tokens
                if text is None:
                    stretch = passkey.filler(body)
                else:
                    start = int(rng.integers(len(text) - body + 1))
                    stretch = text[start : start + body]
                before, after = passkey.hide(stretch, key, depth / 100)
                engine = reader.read(before)
                engine.read(after)
                hits += _answer(loaded, engine, passkey) == str(key)
                on_tokens(length)
            cells.append(Cell(length, depth, trials, hits / trials))
            on_cell(cells[-1])
    return cells


def report(cells: Sequence[Cell]) -> dict[str, object]:
    """The cells as a JSON object of schema ``infini.passkey/1``."""
    return {"schema": SCHEMA, "cells": [dataclasses.asdict(cell) for cell in cells]}


def _answer(loaded: Loaded, engine: Engine, passkey: Passkey) -> str:
    ids = list(engine.generate(passkey.question.tolist(), passkey.answer_tokens))
    match = re.match(r"\s*(\d+)", loaded.tokenizer.decode(ids))
    return match[1] if match else ""


class _PrefixReader:
    """Reads what trials have in common once: reading is exact in any split, so a fork of it is as good as new."""

    def __init__(self, loaded: Loaded, state: MemoryState | None, use_memory: bool) -> None:
        self.start = loaded.engine(use_memory=use_memory)
        if state is not None:
            self.start.restore(state, loaded.origin)
        self.engine, self.seen = self.start.fork(), torch.empty(0, dtype=torch.long)

    def read(self, prefix: Tensor) -> Engine:
        """An engine that has read the prefix, on from the last one where this one begins with it."""
        known = len(self.seen)
        if len(prefix) < known or not torch.equal(prefix[:known], self.seen):
            self.engine, known = self.start.fork(), 0
        self.engine.read(prefix[known:])
        self.seen = prefix
        return self.engine.fork()
