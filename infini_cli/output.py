"""Where things are written: the answer to stdout or a file, everything else to stderr."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TextIO

from infini_cli.errors import CliError, one_line

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

# Wider than any terminal.
_WIDE = 10_000
_UNWRITABLE_HINT = "Free some space or choose another place with -o; a file that was there before is unchanged."


class Advance(Protocol):
    """Told of tokens that were just done, and where in the document that is, such as `p. 112 of 400`."""

    def __call__(self, tokens: int, place: str = "", /) -> None: ...


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
        with Progress(*columns, console=self._rich(), transient=True) as bar:
            task = bar.add_task(one_line(label), total=total_tokens, count=_count(0, total_tokens, None))

            def advance(tokens: int, place: str = "", /) -> None:
                bar.advance(task, tokens)
                state = bar.tasks[bar.task_ids.index(task)]
                elapsed = state.elapsed
                speed = state.completed / elapsed if elapsed else None
                count = _count(int(state.completed), total_tokens, speed)
                bar.update(task, count=f"{one_line(place)}  {count}" if place else count)

            yield advance

    def _rich(self) -> RichConsole:
        from rich.console import Console as RichConsole

        # Rich takes any NO_COLOR that is not empty to mean no colour, as no-color.org asks.
        return RichConsole(file=self.stderr, highlight=False)

    def _line(self, text: str) -> None:
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


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person is looking at what is written there."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


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
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(box=SIMPLE)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    RichConsole(file=file, width=_WIDE, highlight=False).print(table, no_wrap=True, crop=False)


@contextlib.contextmanager
def atomic_writer(path: str | os.PathLike[str], *, binary: bool = False) -> Iterator[IO[Any]]:
    """Write a file that appears whole or not at all.

    It is written under a temporary name in the same directory, fsynced and renamed. If anything fails, what
    was there before is unchanged. A new file gets the usual permissions, a replaced one keeps its own; a link
    is followed; a device or a pipe is written directly.

    Raises:
        CliError: If it cannot be written (no space, no permission, no such directory).
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        with _explained(path), _opened(os.open(target, os.O_WRONLY), binary) as file:
            yield file
        return
    with _explained(path):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent)
        try:
            with _opened(descriptor, binary) as file:
                yield file
                file.flush()
                os.fchmod(file.fileno(), _mode_for(target))
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_directory(target.parent)


@contextlib.contextmanager
def answer_file(path: str | os.PathLike[str] | None) -> Iterator[IO[str]]:
    """The place for the answer: stdout if `path` is None or `-`, else an atomic text file."""
    if path is None or os.fspath(path) == "-":
        yield sys.stdout
        return
    with atomic_writer(path) as file:
        yield file


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


def _opened(descriptor: int, binary: bool) -> IO[Any]:
    if binary:
        return os.fdopen(descriptor, "wb")
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="\n")


@contextlib.contextmanager
def _explained(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None and not _beside(error.filename, path):
            raise  # It is about another file that the caller had in hand.
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CliError(f"no space left while writing {os.fspath(path)}", _UNWRITABLE_HINT) from error
        reason = error.strerror or error
        raise CliError(f"{os.fspath(path)} cannot be written: {reason}", _UNWRITABLE_HINT) from error


def _beside(one: str | bytes | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    return Path(os.path.realpath(os.fsdecode(one))).parent == Path(os.path.realpath(other)).parent


def _mode_for(target: Path) -> int:
    with contextlib.suppress(OSError):
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_directory(directory: Path) -> None:
    # The rename itself has to reach the disk; some file systems and Windows cannot sync a directory.
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _count(done: int, total: int | None, speed: float | None) -> str:
    whole = f"/{total:,}" if total is not None else ""
    rate = f" {speed:,.0f} tokens/s" if speed is not None else ""
    return f"{done:,}{whole} tokens{rate}"
