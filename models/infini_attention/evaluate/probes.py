"""Probes: read a document, put a question to what was kept of it, score the answer. Every task of recall is made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from ..memory.engine import Engine
from ..qa.choosing import Generates

# Trials that an engine on an accelerator reads at once.
SIDE_BY_SIDE = 8

# A trial: the number of its series, and its own.
Place = tuple[int, int]
Label = str | int | float
T = TypeVar("T")


class System(Generates, Protocol):
    """What can be probed: an engine, or one of the baselines."""

    @property
    def state_bytes(self) -> int:
        """Bytes of what is kept of the segments that were read."""

    def read(self, ids: Sequence[int] | Tensor) -> None:
        """Reads token ids."""

    def step(self, ids: Tensor) -> Tensor:
        """Reads a segment, ``[1, T]``, and gives the decoder's last hidden states, ``[1, T, C]``."""

    def fork(self) -> Self:
        """One that has read the same and goes on by itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """One trial.

    Attributes:
        document: ``[T]`` token ids to be read, in pieces: trials that begin with the same ones share the reading.
        prompt: token ids of the question, which stay in view.
        new_tokens: the most tokens of an answer.
        score: the answer's text to 0 (wrong) to 1 (right), by one measure or several.
        stop: ids that end an answer.
        processors: transformers' logits processors; none is greedy decoding pure and simple.
        prepare: what is done with the system between reading and the question, such as reading a passage again.
    """

    document: tuple[Tensor, ...]
    prompt: tuple[int, ...]
    new_tokens: int
    score: Callable[[str], Mapping[str, float]]
    stop: frozenset[int] = frozenset()
    processors: LogitsProcessorList | None = None
    prepare: Callable[[Any], Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """Trials of one kind, to be measured.

    Attributes:
        labels: what tells this series from the others, such as the length.
        trials: how many.
        draw: a trial's number to the trial; the same for the same number.
        tokens: of all trials together, about.
    """

    labels: Mapping[str, Label]
    trials: int
    draw: Callable[[int], Probe]
    tokens: int


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """Trials that measure themselves, such as questions put to a session.

    Attributes:
        labels, trials, tokens: as of ``Series``.
        measure: a trial's number to its scores, 0 (wrong) to 1 (right), by measure.
    """

    labels: Mapping[str, Label]
    trials: int
    measure: Callable[[int], Mapping[str, float]]
    tokens: int


@dataclasses.dataclass(frozen=True, slots=True)
class Scores:
    """What a series gave by one measure: its labels and a score, 0 to 1, for each trial.

    The labels name the measure too, as ``measure``, where a trial is scored by several.
    """

    labels: Mapping[str, Label]
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean score."""
        return sum(self.scores) / len(self.scores)


class Record(Protocol):
    """Remembers scores, so that a long measurement goes on where it was stopped (see ``journal.Journal``)."""

    def get(self, series: int, trial: int) -> Mapping[str, float] | None:
        """The scores of a trial, by measure, if it was measured before."""

    def put(self, series: int, trial: int, scores: Mapping[str, float]) -> None:
        """Notes the scores of a trial, by measure."""


def run(
    start: System,
    decode: Callable[[list[int]], str],
    series: Sequence[Series | Measured],
    *,
    record: Record | None = None,
    on_series: Callable[[Scores], None] = lambda scores: None,
    on_tokens: Callable[[int], None] = lambda tokens: None,
    side_by_side: int | None = None,
) -> list[Scores]:
    """Measures.

    Args:
        start: the system, and what it has read before; each trial begins with a fork of it.
        decode: token ids to text.
        series: what to measure.
        record: scores of an earlier, interrupted run, and where to note new ones.
        on_series: called with the scores of each finished series and measure.
        on_tokens: called after each trial with the number of its tokens.
        side_by_side: trials of a series that an engine reads at once; by default one on a processor, which gains nothing by
            it, and several elsewhere.
    """
    if side_by_side is None:
        side_by_side = SIDE_BY_SIDE if isinstance(start, Engine) and start.device.type != "cpu" else 1
    reader = _PrefixReader(start)
    order = [(number, trial) for number, one in enumerate(series) for trial in range(one.trials)]
    found: list[list[Mapping[str, float]]] = [[] for _ in series]
    results: list[list[Scores]] = [[] for _ in series]
    known = {} if record is None else {place: scores for place in order if (scores := record.get(*place)) is not None}
    for group in _groups(order, known, side_by_side):
        probes = {
            place: one.draw(place[1])
            for place in group
            if place not in known and isinstance(one := series[place[0]], Series)
        }
        systems = iter(reader.read([probe.document for probe in probes.values()]) if probes else [])
        for number, trial in group:
            one = series[number]
            if (number, trial) not in known:
                if isinstance(one, Measured):
                    scores = one.measure(trial)
                else:
                    scores = _scores(next(systems), decode, probes[number, trial])
                if record is not None:
                    record.put(number, trial, scores)
            else:
                scores = known[number, trial]
            found[number].append(scores)
            on_tokens(one.tokens // one.trials)
            if len(found[number]) == one.trials:
                for measure in scores:
                    labels = {**one.labels, "measure": measure} if len(scores) > 1 else one.labels
                    results[number].append(Scores(labels, tuple(each[measure] for each in found[number])))
                    on_series(results[number][-1])
    return [scores for own in results for scores in own]


def _groups(order: Sequence[Place], known: Collection[Place], most: int) -> Iterator[list[Place]]:
    """Trials that are to be read at once, in order: neighbours of one series, none of which is known."""
    group: list[Place] = []
    for place in order:
        joins = bool(group) and len(group) < most and place[0] == group[0][0]
        if group and (not joins or place in known or group[0] in known):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _scores(system: System, decode: Callable[[list[int]], str], probe: Probe) -> Mapping[str, float]:
    if probe.prepare is not None:
        system = probe.prepare(system)
    ids = system.generate(list(probe.prompt), probe.new_tokens, stop=probe.stop, processors=probe.processors)
    return probe.score(decode(list(ids)))


class _PrefixReader:
    """Reads what trials have in common once: reading is exact in any split, so a fork of it is as good as new."""

    def __init__(self, start: System) -> None:
        self.start = start
        self.system, self.seen = start.fork(), torch.empty(0, dtype=torch.long)

    def read(self, documents: Sequence[tuple[Tensor, ...]]) -> list[System]:
        """Systems that have read one document each; the first piece, where they share it, is kept for the next ones.

        Several are for an engine alone.
        """
        first, *others = (document[0] for document in documents)
        rests = [document[1:] for document in documents]
        if not all(torch.equal(first, other) for other in others):
            first, rests = first[:0], list(documents)
        known = len(self.seen)
        if len(first) < known or not torch.equal(first[:known], self.seen):
            self.system, known = self.start.fork(), 0
        self.system.read(first[known:])
        self.seen = first
        if len(documents) > 1:
            assert isinstance(self.system, Engine)
            return list(self.system.read_each([torch.cat([first[:0], *rest]) for rest in rests]))
        system = self.system.fork()
        for piece in rests[0]:
            system.read(piece)
        return [system]


def spread(items: Sequence[T], limit: int | None) -> list[T]:
    """So many of the items, evenly from all of them; all where there is no limit."""
    count = len(items) if limit is None else min(limit, len(items))
    return [items[number * len(items) // count] for number in range(count)]
