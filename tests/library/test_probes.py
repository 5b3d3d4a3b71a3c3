"""The order of trials, and how much is read for them, by a system that counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
from infini_attention.evaluation.probes import Probe, Scores, Series, run


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


@pytest.mark.parametrize(("text_by_text", "read"), [(True, 20), (False, 30)])
def test_trials_on_one_text_read_it_once_if_they_come_one_after_the_other(text_by_text: bool, read: int) -> None:
    total: list[int] = []
    told: list[Scores] = []
    found = run(
        cast(Any, Counting(total)),
        lambda ids: str(ids[0]),
        [shares(5), shares(10)],
        on_series=told.append,
        text_by_text=text_by_text,
    )
    assert sum(total) == read
    assert [(one.labels["share"], one.labels["measure"], one.scores) for one in found] == [
        (5, "last", (104.0, 204.0)),
        (5, "half", (52.0, 102.0)),
        (10, "last", (109.0, 209.0)),
        (10, "half", (54.5, 104.5)),
    ]
    assert sorted(map(repr, told)) == sorted(map(repr, found))
