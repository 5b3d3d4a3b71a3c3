"""A measurement from its series to a table: the system, the journal, progress, and the report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from infini_attention.errors import UsageFailure

from infini_cli.commands.options import Run
from infini_cli.output import answer_file, emit_json, figure, write_table

if TYPE_CHECKING:
    from infini_attention import Loaded
    from infini_attention.evaluate.journal import Journal
    from infini_attention.evaluate.perplexity import StreamedLoss
    from infini_attention.evaluate.probes import Measured, Scores, Series
    from torch import Tensor

SCHEMA = "infini.eval/1"


@dataclass(frozen=True)
class Report:
    """What a measurement gave.

    Attributes:
        about: Task, model, system, and everything else that the figures depend on.
        cells: One row each: labels, then `trials`, `score`, and `low` and `high` of its confidence interval.
        summary: Figures over all cells.
        unit: What a score is, in words.
    """

    about: Mapping[str, Any]
    cells: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    unit: str


def chosen_system(system: str, memory: str) -> str:
    """What `--system` and `--memory` together ask for.

    Raises:
        UsageFailure: If one of them is unknown, or they contradict each other.
    """
    from infini_attention.evaluate.baselines import SYSTEMS

    if system not in SYSTEMS:
        raise UsageFailure(f"'{system}' is not a system", f"Use one of {', '.join(SYSTEMS)}.")
    if memory not in ("on", "off"):
        raise UsageFailure(f"'{memory}' is neither on nor off", "Use --memory on or --memory off.")
    if memory == "on":
        return system
    if system not in ("memory", "local"):
        raise UsageFailure(f"the system {system} has no memory to switch off", "Leave out --memory off.")
    return "local"


def evaluate(
    run: Run,
    loaded: Loaded,
    about: Mapping[str, Any],
    series: Sequence[Series | Measured],
    output: str | None,
    plot: Path | None,
    unit: str,
    summary: Callable[[Sequence[Scores]], Mapping[str, Any]] = lambda results: {},
    *,
    text_by_text: bool = False,
) -> None:
    """Run trials, going on after an earlier stop, and report them.

    Args:
        run: Settings and console.
        loaded: The model.
        about: Everything that the figures depend on beside the model; among it `system`, the one to measure.
        series: What to measure.
        output: Where the report goes; stdout if None.
        plot: Where its image goes, if anywhere.
        unit: What a score is, in words.
        summary: Scores to figures over all of them.
        text_by_text: See `probes.run`.
    """
    with journal(run, loaded, about) as record:
        results = _measure(run, loaded, series, about["system"], record, text_by_text)
        write(run, Report(about, cells_of(results), summary(results), unit), output, plot)


def _measure(
    run: Run, loaded: Loaded, series: Sequence[Series | Measured], system_name: str, record: Journal, text_by_text: bool
) -> list[Scores]:
    from infini_attention.evaluate import probes
    from infini_attention.evaluate.baselines import system

    def tell(scores: Scores) -> None:
        labels = ", ".join(f"{name} {value}" for name, value in scores.labels.items())
        run.console.detail(f"{labels}: {scores.mean:.3f} over {len(scores.scores)}")

    total = sum(one.tokens for one in series)
    with run.console.progress(total, "measuring") as advance:
        return probes.run(
            system(loaded, system_name),
            loaded.tokenizer.decode,
            series,
            record=record,
            on_series=tell,
            on_tokens=advance,
            text_by_text=text_by_text,
        )


def measure_loss(run: Run, loaded: Loaded, texts: Sequence[Tensor], system_name: str, record: Journal) -> StreamedLoss:
    """Loss on stretches of texts, with progress.

    Args:
        run: Settings and console.
        loaded: The model.
        texts: Token ids, all of one length.
        system_name: The system to measure it on.
        record: Figures of an earlier, interrupted run, and where to note new ones.
    """
    from infini_attention.evaluate.baselines import system
    from infini_attention.evaluate.perplexity import streamed

    with run.console.progress(sum(map(len, texts)), "measuring") as advance:
        return streamed(loaded, system(loaded, system_name), texts, record=record, on_tokens=advance)


def cells_of(results: Sequence[Scores]) -> list[dict[str, Any]]:
    """Scores with their confidence intervals, where there are trials enough for one, as rows of a report."""
    from infini_attention.evaluate.scores import interval

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


def write(run: Run, report: Report, output: str | None, plot: Path | None) -> None:
    """The report as text or JSON, and as an image where one is asked for."""
    with answer_file(output) as file:
        if run.settings.format == "text":
            _print(report, file)
        else:
            value = {"schema": SCHEMA, **report.about, "cells": list(report.cells), "summary": dict(report.summary)}
            emit_json(value, file, jsonl=run.settings.format == "jsonl")
    if plot is not None:
        from infini_cli.plotting import draw_lines

        title = f"{report.about['task']}, {report.about['model']}, {report.about['system']}"
        draw_lines(plot, report.cells, title=title, unit=report.unit)


@contextlib.contextmanager
def journal(run: Run, loaded: Loaded, about: Mapping[str, Any]) -> Iterator[Journal]:
    """Figures of the same measurement, if it was stopped before; forgotten when what is done inside has succeeded.

    Args:
        run: Settings and console.
        loaded: The model.
        about: Everything that the figures depend on beside the model.
    """
    from infini_attention.evaluate.journal import Journal
    from infini_attention.model.weights import cache_dir

    record = Journal(cache_dir() / "evaluations", loaded.origin, about)
    if len(record):
        run.console.note(f"going on after {len(record)} figures of an earlier run")
    yield record
    record.remove()


def _print(report: Report, file: IO[str]) -> None:
    about = report.about
    file.write(f"{about['task']}: {report.unit}; model {about['model']}, system {about['system']}\n")
    columns = [name for name in report.cells[0] if name not in ("low", "high")]
    rows = []
    for cell in report.cells:
        between = f"{figure(cell['low'])} to {figure(cell['high'])}" if cell["low"] is not None else "too few trials"
        rows.append([*(figure(cell[name]) for name in columns), between])
    write_table([*columns, "95% interval"], rows, file)
    for name, value in report.summary.items():
        file.write(f"{name.replace('_', ' ')}: {figure(value)}\n")
