"""Commands of `infini` on the tiny model, in processes forked from this one."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.torture.forks import Ended, forked
from benchmarks.torture.tiny import book, write_model
from infini_cli.app import main

SECONDS = 300


def prepare(folder: Path) -> None:
    """Make the model, and let commands of this process and its children use it and nothing of the person's."""
    write_model(folder / "model")
    (folder / "config.toml").write_text("")
    os.environ |= {
        "INFINI_CONFIG": str(folder / "config.toml"),
        "INFINI_CACHE": str(folder / "cache"),
        "INFINI_MODEL": str(folder / "model"),
        "INFINI_DEVICE": "cpu",
        "INFINI_DTYPE": "fp32",
        # Threads do not live on in a process that is forked.
        "TOKENIZERS_PARALLELISM": "false",
    }
    torch.set_num_threads(1)
    (folder / "warm.txt").write_text(book(2))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
        # Imports what is imported late, which is most of the time of a command this small.
        assert main(["read", str(folder / "warm.txt"), "-o", str(folder / "warm.pt")]) == 0, told.getvalue()


def infini(
    arguments: list[str],
    log: Path,
    *,
    first: Callable[[], None] = lambda: None,
    kill_after: float = 1e9,
    folder: Path | None = None,
) -> Ended:
    """Run a command in a forked process.

    Args:
        arguments: The command line.
        log: Where its stdout and stderr go.
        first: Called in the process before the command.
        kill_after: Seconds after which the process is killed.
        folder: The current one; that of this process if None.
    """

    def work(send: Callable[[Any], None]) -> int:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for own, stream in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(own, stream)
        with contextlib.chdir(folder or os.curdir):
            first()
            return main(arguments)

    return forked(work, seconds=SECONDS, kill_after=kill_after)
