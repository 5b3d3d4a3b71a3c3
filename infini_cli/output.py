"""Where things are written: the answer to stdout or a file, everything else to stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, TextIO

from infini_attention.files import atomic_writer
from infini_attention.reporting import Advance

from infini_cli.exits import one_line
from infini_cli.terminal import drawn_on, gated, is_terminal

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

# Wider than any terminal.
_WIDE = 10_000


class Console:
    """Notes, details and progress on stderr.

    Args:
        quiet: Print no notes and no progress.
        verbose: Print details too.
        stderr: The stream; the process's own if None.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False, stderr: TextIO | None = None) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._stderr = stderr

    @property
    def stderr(self) -> TextIO:
        """The stream that is written to."""
        return sys.stderr if self._stderr is None else self._stderr

    def note(self, text: str) -> None:
        """Print a line that the person should know of, unless quiet."""
        if not self.quiet:
            self._line(text)

    def detail(self, text: str) -> None:
        """Print a line for those who asked for details."""
        if self.verbose and not self.quiet:
            self._line(text)

    @contextlib.contextmanager
    def progress(self, total_tokens: int | None, label: str) -> Iterator[Advance]:
        """Show how far a job is, if stderr is a terminal and quiet is off.

        Args:
            total_tokens: Tokens of the whole job; None if not known.
            label: What is being done.

        Yields:
            A function that is called with the number of tokens just done, and where that is.
        """
        if self.quiet or not is_terminal(self.stderr):
            yield lambda tokens, place="": None
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            # Short: pages, tokens, their speed and the time left have to fit beside it into 80 columns.
            BarColumn(bar_width=12),
            TextColumn("{task.fields[count]}", markup=False),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=rich_console(self.stderr), transient=True) as bar:
            task = bar.add_task(one_line(label), total=total_tokens, count=_count(0, total_tokens, None))

            def advance(tokens: int, place: str = "", /) -> None:
                bar.advance(task, tokens)
                state = bar.tasks[bar.task_ids.index(task)]
                elapsed = state.elapsed
                speed = state.completed / elapsed if elapsed else None
                count = _count(int(state.completed), total_tokens, speed)
                bar.update(task, count=f"{one_line(place)}  {count}" if place else count)

            yield advance

    def _line(self, text: str) -> None:
        # Where nobody listens any more, as after `2>&1 | head`, or on a terminal that is gone, work goes on.
        with contextlib.suppress(OSError):
            self.stderr.write(f"{one_line(text)}\n")
            self.stderr.flush()


def write_answer(pieces: Iterable[str], file: IO[str]) -> str:
    """Write pieces of text as they come, each flushed at once, and end with one newline.

    Trailing line ends of the pieces are held back, so that exactly one newline ends the answer.

    Returns:
        The answer without its last newline.
    """
    written: list[str] = []
    held = ""
    for piece in pieces:
        text = held + piece
        body = text.rstrip("\n")
        held = text[len(body) :]
        if body:
            file.write(body)
            file.flush()
            written.append(body)
    file.write("\n")
    file.flush()
    return "".join(written)


def emit_json(value: object, file: IO[str], *, jsonl: bool = False) -> None:
    """Write a value as indented JSON, or as one line for JSON lines. NaN and infinity are refused."""
    indent = None if jsonl else 2
    file.write(json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False) + "\n")
    file.flush()


def figure(value: Any) -> str:
    """A figure as people read it: three decimals where there are any, thousands apart."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.3f}" if value < 1000 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]], file: IO[str]) -> None:
    """Write a table, aligned right, as wide as it needs to be: no column is dropped or cut."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE)
    for name in columns:
        table.add_column(Text(one_line(name)), justify="right", no_wrap=True)
    for row in rows:
        # As they are: brackets in a name are no markup.
        table.add_row(*(Text(one_line(cell)) for cell in row))
    rich_console(file, width=_WIDE).print(table, no_wrap=True, crop=False)


def rich_console(stream: IO[str], *, width: int | None = None) -> RichConsole:
    """What draws on a stream. Rich gives orders to terminals, so each text in the drawing has to be `one_line`."""
    from rich.console import Console as RichConsole

    # Rich takes any NO_COLOR that is not empty to mean no colour, as no-color.org asks.
    return RichConsole(file=drawn_on(stream), width=width, highlight=False)


@contextlib.contextmanager
def answer_file(path: str | os.PathLike[str] | None) -> Iterator[IO[str]]:
    """The place for the answer: stdout if `path` is None or `-`, else an atomic text file."""
    if path is None or os.fspath(path) == "-":
        yield gated(sys.stdout)
        return
    with atomic_writer(path) as file:
        # A terminal may be named as a file.
        yield gated(file)


@contextlib.contextmanager
def closed_pipe_ends_quietly() -> Iterator[None]:
    """End with exit status 0 and without a message when the reader of stdout has gone away."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more as it exits; that must have somewhere to go.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        raise SystemExit(0) from None


def _count(done: int, total: int | None, speed: float | None) -> str:
    whole = f"/{total:,}" if total is not None else ""
    rate = f" {speed:,.0f} tokens/s" if speed is not None else ""
    return f"{done:,}{whole} tokens{rate}"
