"""The passkey test: is a five-digit key still known after a haystack was read, by where it stood and how long it was?"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..data.passkey import Passkey
from ..errors import InfiniError
from .hay import hay_of
from .probes import Probe, Scores, Series
from .task import Bench, Task, mean


@dataclasses.dataclass(frozen=True)
class PasskeyTask(Task):
    """Five-digit keys in the paper's filler or in texts.

    Attributes:
        length, depth, limit: lengths, depths and trials of ``grid``.
        hay: texts to hide keys in, or a document; ``None``: the paper's filler.
    """

    name: ClassVar[str] = "passkey"
    unit: ClassVar[str] = "share of keys right"

    length: Sequence[int] = (4096, 8192)
    depth: Sequence[float] = (0, 50, 100)
    limit: int = 10
    hay: Path | None = None

    def draw(self, bench: Bench) -> list[Series]:
        text = None if self.hay is None else hay_of(bench, self.hay)
        return grid(Passkey(bench.loaded.encode), self.length, self.depth, self.limit, bench.seed, hay=text)

    def summary(self, results: Sequence[Scores]) -> dict[str, Any]:
        return {"mean": mean(results)}


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
