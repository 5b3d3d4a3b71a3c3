"""The order of trials, and how much is read for them, by a system that counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest
import torch
from infini_attention.evaluate.probes import Probe, Scores, Series, run
from infini_attention.memory.engine import Engine

from models import SEGMENT, memory_model, text


class Counting:
    """Reads nothing but remembers what it was given; all forks count together."""

    def __init__(self, total: list[int], seen: tuple[int, ...] = ()) -> None:
        self.total, self.seen = total, seen

    def fork(self) -> Counting:
        return Counting(self.total, self.seen)

    def read(self, ids: torch.Tensor) -> None:
        self.total.append(len(ids))
        self.seen += tuple(ids.tolist())

    def generate(self, prompt: list[int], most: int, **options: Any) -> Iterator[int]:
        return iter(self.seen[-1:])


def shares(kept: int) -> Series:
    """Two texts, 100 to 109 and 200 to 209, read up to a share; scored by the last token read."""

    def draw(trial: int) -> Probe:
        text = torch.arange(100 * (trial + 1), 100 * (trial + 1) + kept)
        return Probe((text,), (0,), 1, lambda answer: {"last": float(answer), "half": float(answer) / 2})

    return Series({"share": kept}, 2, draw, 20)


def test_each_measure_of_a_series_has_its_scores() -> None:
    total: list[int] = []
    told: list[Scores] = []
    found = run(
        cast(Any, Counting(total)),
        lambda ids: str(ids[0]),
        [shares(5), shares(10)],
        on_series=told.append,
    )
    assert [(one.labels["share"], one.labels["measure"], one.scores) for one in found] == [
        (5, "last", (104.0, 204.0)),
        (5, "half", (52.0, 102.0)),
        (10, "last", (109.0, 209.0)),
        (10, "half", (54.5, 104.5)),
    ]
    assert sorted(map(repr, told)) == sorted(map(repr, found))


class Noted(dict[tuple[int, int], Mapping[str, float]]):
    """A record in memory."""

    def get(self, series: int, trial: int) -> Mapping[str, float] | None:  # type: ignore[override]
        return super().get((series, trial))

    def put(self, series: int, trial: int, scores: Mapping[str, float]) -> None:
        assert (series, trial) not in self
        self[series, trial] = scores


def hidden(shared: int) -> Series:
    """Texts of different lengths that begin alike, for so many tokens; the answer is scored as it is."""

    def draw(trial: int) -> Probe:
        own = text(2 * SEGMENT + 3 * trial, seed=10 + trial)[0]
        pieces = (text(shared)[0], own) if shared else (own,)
        return Probe(pieces, (1, 2), 3, lambda answer: {"answer": float(answer)})

    return Series({"shared": shared}, 5, draw, 5 * SEGMENT)


@pytest.mark.parametrize("known", [(), ((0, 0),), ((0, 2), (1, 1), (1, 4))])
def test_trials_side_by_side_score_what_they_score_one_by_one(
    known: tuple[tuple[int, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, series = Engine(memory_model(ngrams=(2,), reread_first=True)), [hidden(3 * SEGMENT + 2), hidden(0)]
    groups: list[int] = []
    read_each = Engine.read_each

    def watched(engine: Engine, documents: Sequence[torch.Tensor]) -> list[Engine]:
        groups.append(len(documents))
        return read_each(engine, documents)

    monkeypatch.setattr(Engine, "read_each", watched)

    def decode(ids: list[int]) -> str:
        return "".join(f"{token:02d}" for token in ids)

    told: list[int] = []
    alone = run(engine, decode, series, side_by_side=1)
    assert groups == [] and run(engine, decode, series) == alone and groups == []
    assert len({score for scores in alone for score in scores.scores}) > 5
    record = Noted({(number, trial): {"answer": alone[number].scores[trial]} for number, trial in known})
    assert run(engine, decode, series, record=record, on_tokens=told.append, side_by_side=3) == alone
    assert len(record) == len(told) == 10
    assert groups == {0: [3, 2, 3, 2], 1: [3, 3, 2], 3: [2, 2, 2]}[len(known)]
