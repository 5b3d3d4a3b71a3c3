"""Fetching weights, with what comes from where told first, and a bar meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from infini_cli.output import Console, rich_console
from infini_cli.terminal import is_terminal

if TYPE_CHECKING:
    from infini_attention.model.spec import BaseSpec


def fetch(base: BaseSpec, console: Console, *, repair: bool = False) -> Path:
    """Fetch base weights, unless they are there.

    Args:
        base: Which.
        console: Where notes and the bar go.
        repair: Fetch them anew where they are not what they were.

    Returns:
        Their folder.

    Raises:
        ModelUnavailable: If they cannot be had, or have changed since they were fetched.
    """
    from infini_attention.model.weights import pull

    with download_bar(console) as progress:
        return pull(base, console.note, progress, repair=repair)


@contextlib.contextmanager
def download_bar(console: Console) -> Iterator[Callable[[int, int | None], None]]:
    """Give what draws how many bytes have come, and of how many, if stderr is a terminal and quiet is off."""
    if console.quiet or not is_terminal(console.stderr):
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=rich_console(console.stderr), transient=True)
    task: TaskID | None = None

    def progress(done: int, total: int | None) -> None:
        # Begun with the first bytes: what is here already is neither drawn nor counted into the speed.
        nonlocal task
        if task is None:
            bar.start()
            task = bar.add_task("", total=total, completed=done)
        bar.update(task, completed=done)
        if done == total:
            bar.stop()

    try:
        yield progress
    finally:
        bar.stop()
