"""What the tests of many documents share with the processes that they start."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection

from infini_cli.batch import on_ray, pool
from infini_cli.batch.on_ray import RayReader
from infini_cli.batch.plan import Task
from infini_cli.batch.worker import Job, Outcome, Reader


class Mortal(Reader):
    """A reader whose process documents called `deadly` kill."""

    def read(self, task: Task, interrupted: Callable[[], bool] = lambda: False) -> Outcome:
        if "deadly" in task.source:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(task, interrupted)


class MortalActor(RayReader):
    """The same in an actor."""

    def __init__(self, job: Job, password: str | None) -> None:
        on_ray.Reader = Mortal  # type: ignore[attr-defined]
        super().__init__(job, password)


def serve_deadly(pipe: Connection, job: Job, threads: int) -> None:
    """The same in a worker process."""
    pool.Reader = Mortal  # type: ignore[attr-defined]
    pool._serve(pipe, job, threads)


def serve_nothing(pipe: Connection, job: Job, threads: int) -> None:
    """A worker process that ends before it has a model."""
    raise SystemExit(3)
