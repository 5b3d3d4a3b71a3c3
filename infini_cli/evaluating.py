"""Any task of `infini eval`, from its options to a table: the model, the journal, and the report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from infini_attention.errors import InputError, UsageFailure

from infini_cli import options
from infini_cli.opening import load_model, model_of_state, open_documents, open_state, require_memory
from infini_cli.output import answer_file, emit_json, figure, write_table

if TYPE_CHECKING:
    from infini_attention import Loaded
    from infini_attention.documents import Document
    from infini_attention.evaluate.journal import Journal
    from infini_attention.evaluate.measuring import Report
    from infini_attention.evaluate.task import Task


class System(StrEnum):
    """What can be measured, all on the same base."""

    MEMORY = "memory"
    LOCAL = "local"
    FULL = "full"
    WINDOW = "window"
    SINKS = "sinks"
    KNN = "knn"
    RMT = "rmt"


@dataclass(frozen=True)
class Measuring(options.Reading):
    """Options that all tasks share."""

    system: Annotated[
        System,
        typer.Option(
            "--system",
            metavar="NAME",
            help="memory, local (segments alone), full, window, sinks, knn or rmt, all on the same base.",
        ),
    ] = System.MEMORY
    rule: options.OwnRule = None
    seed: options.Seed = 0
    plot: options.Plot = None
    output: options.Answer = None
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False

    @property
    def form(self) -> str:
        """The form of the report."""
        return options.Format.JSON if self.as_json else self.format


def evaluate(
    settings: Measuring, task: Task, memory: Path | None = None, model: str | None = None, reader: str | None = None
) -> None:
    """Measure a task, going on after an earlier stop, and report it.

    Args:
        settings: What it is measured on, and where the report goes.
        task: What to measure.
        memory: A state that the system starts from.
        model: The model that the person named for this run, if any.
        reader: See `load_model`.
    """
    _prepare(settings, task, memory)
    if task.needs_memory and settings.system is System.MEMORY and (memory is None or model is not None):
        require_memory(settings)
    state = None if memory is None else open_state(memory)
    loaded = load_model(
        settings,
        settings.console,
        None if state is None else model_of_state(state, model, settings.model),
        rule=settings.rule,
        needs_adapter=settings.system is System.MEMORY,
        reader=reader,
    )
    from infini_attention.evaluate.measuring import describe, measure
    from infini_attention.evaluate.task import Bench

    def opened(source: str) -> Document:
        return open_documents([source], None, settings.console, settings.pdf_backend, settings.ocr)[0]

    bench = Bench(loaded, settings.system.value, settings.seed, state, reporter=settings.console, open=opened)
    with _journal(settings, loaded, describe(task, bench)) as record:
        _write(settings, measure(task, replace(bench, record=record)))


def _prepare(settings: Measuring, task: Task, memory: Path | None) -> None:
    """Refuse what would fail only after the model was loaded, or after the measurement."""
    from infini_attention.evaluate.scores import check_packages

    system = settings.system
    task.check(system.value)
    if settings.rule is not None and system is not System.MEMORY:
        raise UsageFailure(f"the system {system} has no update rule", "Leave out --rule.")
    if memory is not None and system is not System.MEMORY:
        raise UsageFailure(f"the system {system} cannot go on from a state", "Leave out --memory.")
    check_packages()
    if task.texts is not None and not task.texts.exists():
        raise InputError(f"{task.texts} does not exist", "Give a file, or a folder of files.")
    if settings.plot is not None:
        from infini_cli.plotting import check_plot

        check_plot(settings.plot)


@contextlib.contextmanager
def _journal(settings: Measuring, loaded: Loaded, about: Mapping[str, Any]) -> Iterator[Journal]:
    """Figures of the same measurement, if it was stopped before; forgotten when what is done inside has succeeded."""
    from infini_attention.evaluate.journal import Journal
    from infini_attention.model.weights import cache_dir

    record = Journal(cache_dir() / "evaluations", loaded.origin, about)
    if len(record):
        settings.console.note(f"going on after {len(record)} figures of an earlier run")
    yield record
    record.remove()


def _write(settings: Measuring, report: Report) -> None:
    """The report as text or JSON, and as an image where one is asked for."""
    with answer_file(settings.output) as file:
        if settings.form == "text":
            _print(report, file)
        else:
            emit_json(report.value(), file, jsonl=settings.form == "jsonl")
    if settings.plot is not None:
        from infini_cli.plotting import draw_grid, draw_lines

        draw = draw_grid if "depth" in report.cells[0] else draw_lines
        title = f"{report.about['task']}, {report.about['model']}, {report.about['system']}"
        draw(settings.plot, report.cells, title=title, unit=report.unit)


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
