"""Needles and facts that change, hidden in hay of any length."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from ..data.facts import TASKS as FACTS
from ..data.facts import draw as draw_facts
from ..data.facts import score as score_facts
from ..data.hiding import Hidden, Planter, sentence_ends
from ..data.needles import FILLER_KINDS, effective_length
from ..data.needles import draw as draw_needles
from ..data.needles import score as score_needles
from ..data.passkey import Passkey
from ..data.words import KEYS
from ..errors import InfiniError, UsageFailure
from ..model.loading import Loaded
from .hay import hay_of
from .probes import Probe, Scores, Series
from .task import Bench, Task, by_length, mean

# Tokens that an answer may have beyond the right one's.
SPARE = 12
# Kinds whose hay is other needles, and how many of them tell how long one is.
FULL_KINDS = ("number_of_many", "uuid_of_many")
SAMPLE = 50
# Names that kinds are drawn under: those of earlier releases, so that a seed gives the same trials as ever.
DRAWN_AS = {
    "filler_number": "single_1",
    "number": "single_2",
    "uuid": "single_3",
    "number_of_four": "multikey_1",
    "number_of_many": "multikey_2",
    "uuid_of_many": "multikey_3",
    "four_values": "multivalue",
    "four_keys": "multiquery",
    "person_place": "qa1",
    "thing_place": "qa2",
    "thing_place_before": "qa3",
    "direction": "qa4",
    "gift": "qa5",
}
# Kinds that are asked for where there is a text.
USUAL_KINDS = ("filler_number", "number", "uuid", "number_of_four")


@dataclasses.dataclass(frozen=True)
class NeedleTask(Task):
    """Sentences hidden in texts or in the paper's filler, and a question about what they said.

    Attributes:
        kinds: some of ``needles.KINDS``; ``None``: those in the filler without hay, the usual ones with it.
        hay: texts, or a document, for the kinds that are hidden in one.
        length, limit: lengths and trials of ``grid``.
    """

    name: ClassVar[str] = "needle"
    unit: ClassVar[str] = "share of values named"

    kinds: Sequence[str] | None = None
    hay: Path | None = None
    length: Sequence[int] = (4096, 8192)
    limit: int = 10

    @property
    def chosen(self) -> list[str]:
        """The kinds that are measured."""
        return list(self.kinds or (FILLER_KINDS if self.hay is None else USUAL_KINDS))

    def check(self, system: str) -> None:
        super().check(system)
        if self.hay is None and (in_text := [one for one in self.chosen if one not in FILLER_KINDS]):
            raise UsageFailure(f"{in_text[0]} is hidden in a text, and none is given", "Pass texts with --hay.")

    def settings(self, bench: Bench) -> dict[str, Any]:
        return {**super().settings(bench), "kinds": self.chosen}

    def draw(self, bench: Bench) -> list[Series]:
        text = None if self.hay is None else hay_of(bench, self.hay)
        hidings = needles(bench.loaded, self.chosen, text, max(self.length))
        return grid(_planter(bench), hidings, self.length, self.limit, bench.seed)

    def summary(self, results: Sequence[Scores]) -> dict[str, Any]:
        return {"mean": mean(results), "effective_length": effective_length(by_length(results))}


@dataclasses.dataclass(frozen=True)
class FactsTask(Task):
    """Facts that change, a short sentence each, hidden in texts, and a question about how matters stand.

    Attributes:
        hay: texts, or a document.
        kinds: some of ``facts.TASKS``.
        length, limit: lengths and trials of ``grid``.
    """

    name: ClassVar[str] = "facts"
    unit: ClassVar[str] = "share of answers right"

    hay: Path
    kinds: Sequence[str] = FACTS
    length: Sequence[int] = (0, 4096)
    limit: int = 10

    def draw(self, bench: Bench) -> list[Series]:
        hidings = facts(self.kinds, hay_of(bench, self.hay))
        return grid(_planter(bench), hidings, self.length, self.limit, bench.seed)

    def summary(self, results: Sequence[Scores]) -> dict[str, Any]:
        return {f"mean_at_{length}": score for length, score in by_length(results).items()}


def _planter(bench: Bench) -> Planter:
    return Planter(bench.loaded.encode, sentence_ends(bench.loaded.tokenizer))


@dataclasses.dataclass(frozen=True, slots=True)
class Hiding:
    """A kind of thing to hide.

    Attributes:
        name: of the kind.
        draw: what to hide in so many tokens.
        score: an answer and what was hidden to 0 (wrong) to 1 (right).
        hay: ``[N]`` token ids to hide it in, a stretch drawn for each trial.
        bare: whether what has no room in a prompt is hidden without hay, in a longer prompt.
    """

    name: str
    draw: Callable[[int, np.random.Generator], Hidden]
    score: Callable[[str, Hidden], float]
    hay: Tensor
    bare: bool = False


def needles(loaded: Loaded, kinds: Sequence[str], text: Tensor | None, most: int) -> list[Hiding]:
    """Kinds of needles (see ``needles.KINDS``) and their hay.

    Args:
        loaded: the model, for its tokenizer.
        kinds: some of them.
        text: token ids of texts; ``None`` where all kinds are hidden in the filler.
        most: the longest prompt, tokens.

    Raises:
        ValueError: a kind is hidden in a text, and there is none.
        InfiniError: there are not enough keys to fill the longest prompt.
    """
    filler = Passkey(loaded.encode).filler(most)
    hidings = []
    for kind in kinds:
        hay = filler if kind in FILLER_KINDS else text
        if hay is None:
            raise ValueError(f"{kind} is hidden in a text")
        if kind in FULL_KINDS:
            sample = draw_needles(kind, np.random.default_rng(0), SAMPLE)
            each = sum(len(loaded.encode(needle)) for needle in sample.needles) / (SAMPLE + 1)
            if most / each > KEYS:
                raise InfiniError(
                    f"{kind} has {KEYS:,} keys, too few to fill {most:,} tokens", "use shorter lengths, or other kinds"
                )
            draw = functools.partial(_full, kind, each)
        else:
            draw = functools.partial(_as_it_is, functools.partial(draw_needles, kind))
        hidings.append(Hiding(kind, draw, score_needles, hay))
    return hidings


def facts(tasks: Sequence[str], text: Tensor) -> list[Hiding]:
    """Facts that change (see ``facts.TASKS``) in a text, ``[N]`` token ids."""
    return [
        Hiding(task, functools.partial(_as_it_is, functools.partial(draw_facts, task)), score_facts, text, bare=True)
        for task in tasks
    ]


def _as_it_is(draw: Callable[[np.random.Generator], Hidden], length: int, rng: np.random.Generator) -> Hidden:
    return draw(rng)


def _full(kind: str, each: float, length: int, rng: np.random.Generator) -> Hidden:
    # Needles differ a little in length, and the question needs room.
    return draw_needles(kind, rng, max(1, int(0.95 * length / each) - 2))


def grid(planter: Planter, hidings: Sequence[Hiding], lengths: Sequence[int], trials: int, seed: int) -> list[Series]:
    """A series of trials for each kind and length.

    Args:
        planter: puts sentences into hay.
        hidings: kinds.
        lengths: tokens of the prompts, question included; what is to be hidden is always whole, so that a prompt of
            "0" tokens has no hay at all.
        trials: of a series.
        seed: of what is hidden, of its places and of stretches of hay; no trial depends on another.

    Raises:
        InfiniError: the hay is shorter than a length, or a trial's sentences are longer.
    """
    for hiding in hidings:
        if len(hiding.hay) < max(lengths):
            raise InfiniError(
                f"the haystack has {len(hiding.hay)} tokens, fewer than the length {max(lengths)}",
                "use a longer text, or shorter lengths",
            )
    return [
        Series(
            {"kind": hiding.name, "length": length},
            trials,
            functools.partial(_probe, planter, hiding, length, seed),
            max(length, 1) * trials,
        )
        for hiding in hidings
        for length in lengths
    ]


def _probe(planter: Planter, hiding: Hiding, length: int, seed: int, trial: int) -> Probe:
    rng = np.random.default_rng([seed, length, trial, *DRAWN_AS.get(hiding.name, hiding.name).encode()])
    hidden = hiding.draw(length, rng)
    needles = planter.needles(hidden)
    prompt = planter.encode(hidden.prompt)
    room = length - len(prompt) - sum(map(len, needles))
    if room < 0 and not hiding.bare:
        raise InfiniError(
            f"a prompt of {length} tokens has no room for {hiding.name}",
            f"use lengths of at least {length - room}, or other kinds",
        )
    room = max(0, room)
    start = int(rng.integers(len(hiding.hay) - room + 1))
    document = planter.plant(needles, hiding.hay[start : start + room], rng)
    new_tokens = len(planter.encode(hidden.answer)) + SPARE
    return Probe((document,), tuple(prompt), new_tokens, lambda answer: {"right": hiding.score(answer, hidden)})
