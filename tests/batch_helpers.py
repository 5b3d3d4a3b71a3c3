"""What the tests of many documents share with the processes that they start."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection

from infini_cli.batch import pool
from infini_cli.batch.plan import Task
from infini_cli.batch.worker import Job, Outcome, Reader


def serve_deadly(pipe: Connection, job: Job, threads: int) -> None:
    """A worker process that documents called `deadly` kill."""
    read = Reader.read

    def read_or_die(reader: Reader, task: Task, interrupted: Callable[[], bool] = lambda: False) -> Outcome:
        if "deadly" in task.source:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(reader, task, interrupted)

    Reader.read = read_or_die  # type: ignore[method-assign]
    pool._serve(pipe, job, threads)


def serve_nothing(pipe: Connection, job: Job, threads: int) -> None:
    """A worker process that ends before it has a model."""
    raise SystemExit(3)
