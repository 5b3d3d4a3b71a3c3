"""How far a training run is, on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infini_cli.output import Console, rich_console

if TYPE_CHECKING:
    from infini_attention.train.trainer import Progress

_LINES = 50


class StepReport:
    """Called after each step; remembers the last one."""

    def __init__(self, console: Console, steps: int) -> None:
        self.console, self.every = console, max(1, steps // _LINES)
        self.last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self.last = progress
        if progress.step % self.every == 0 or progress.step in (1, progress.steps):
            self.show(progress)

    def show(self, progress: Progress) -> None:
        """Print a line about a step."""
        self.console.note(
            f"step {progress.step}/{progress.steps} {progress.task}: {in_words(progress)}, "
            f"{progress.tokens_per_second:,.0f} tokens/s"
        )


def in_words(progress: Progress) -> str:
    """Loss and the share of tokens that were right."""
    return f"loss {progress.loss:.3f}, right {progress.accuracy:.0%}"


@contextlib.contextmanager
def training_progress(console: Console, steps: int) -> Iterator[StepReport]:
    """Show the steps of a training run as they are done.

    Args:
        console: Where to; a quiet one shows nothing.
        steps: Of the whole run.

    Yields:
        What to call after each step.
    """
    report = StepReport(console, steps)
    if console.quiet or not console.stderr.isatty():
        yield report
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    latest: dict[str, str] = {}
    columns = (
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=rich_console(console.stderr)) as bar:
        task = bar.add_task("", total=steps)

        def show(progress: Progress) -> None:
            latest[progress.task] = in_words(progress)
            # Both tasks stay in view: a step trains one of them only.
            text = "; ".join(f"{name} {words}" for name, words in sorted(latest.items()))
            bar.update(task, completed=progress.step, description=text)

        report.every = 1
        report.show = show  # type: ignore[method-assign]
        yield report
