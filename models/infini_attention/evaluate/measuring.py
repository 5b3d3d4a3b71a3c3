"""A task measured: its figures with their confidence intervals, and everything that they depend on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..data.corpus import digest
from ..model.recipe import find
from .baselines.recurrent import NAME as RECURRENT
from .baselines.recurrent import weights_file
from .probes import Scores
from .scores import interval
from .task import Bench, Task

SCHEMA = "infini.eval/1"


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What a measurement gave.

    Attributes:
        about: task, model, system, and everything else that the figures depend on.
        cells: a row each: labels, then ``trials``, ``score``, and ``low`` and ``high`` of its confidence interval.
        summary: figures over all cells.
        unit: what a score is, in words.
    """

    about: Mapping[str, Any]
    cells: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    unit: str

    def value(self) -> dict[str, Any]:
        """The report as a JSON object of schema ``infini.eval/1``."""
        return {"schema": SCHEMA, **self.about, "cells": list(self.cells), "summary": dict(self.summary)}


def measure(task: Task, bench: Bench) -> Report:
    """Measures a task.

    Raises:
        InfiniError: the texts, the model or the system cannot be used for it.
    """
    task.check(bench.system)
    about = describe(task, bench)
    outcome = task.measure(bench)
    return Report(about, cells_of(outcome.results), outcome.summary, task.unit)


def describe(task: Task, bench: Bench) -> dict[str, Any]:
    """Everything that the figures of a measurement depend on, in plain values."""
    loaded, recipe, texts = bench.loaded, bench.loaded.recipe, task.texts
    about: dict[str, Any] = {
        "task": task.name,
        "model": loaded.origin.model,
        "adapter": loaded.origin.adapter,
        "system": bench.system,
        "rule": loaded.config.update_rule if bench.system == "memory" and loaded.memory else None,
        "seed": bench.seed,
        "dtype": str(loaded.placement.dtype).removeprefix("torch."),
    }
    weights = {
        "weights_sha256": weights_file(recipe.folder) if bench.system == RECURRENT else None,
        "reranker_sha256": recipe.reranker_file if "reranker" in task.parts else None,
    }
    if "reader" in task.parts:
        other = recipe.answers.read_by
        weights["reader_sha256"] = (recipe if other is None else find(other)).reader_file
        about |= {} if other is None else {"read_by": other}
    about |= {name: digest([file]) for name, file in weights.items() if file is not None}
    if bench.state is not None:
        about |= {"tokens_before": bench.state.tokens, "state_digest": bench.state.header()["digest"]}
    if texts is not None:
        about |= {"texts": texts.resolve().name, "texts_sha256": digest(task.files())}
    return about | task.settings(bench)


def cells_of(results: Sequence[Scores]) -> list[dict[str, Any]]:
    """Scores with their confidence intervals, where there are trials enough for one, as rows of a report."""
    rows = []
    for scores in results:
        low, high = interval(scores.scores) or (None, None)
        rows.append(
            {
                **scores.labels,
                "trials": len(scores.scores),
                "score": round(scores.mean, 6),
                "low": None if low is None else round(low, 6),
                "high": None if high is None else round(high, 6),
            }
        )
    return rows
