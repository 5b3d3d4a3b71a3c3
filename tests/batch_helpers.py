"""What the tests of many documents share, with the processes that they start and with one another."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from infini_attention import MemoryState

from infini_cli.batch import on_ray, pool
from infini_cli.batch.on_ray import RayReader
from infini_cli.batch.plan import Task
from infini_cli.batch.worker import Job, Outcome, Reader


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """The lines of a manifest, by the names of their sources."""
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    return {Path(line["source"]).name: line for line in map(json.loads, lines)}


def assert_same_states(one: Path, two: Path) -> None:
    """Two folders hold the same states of the same documents, whenever they were read."""
    alone, shared = records(one), records(two)
    assert alone.keys() == shared.keys()
    for name, line in alone.items():
        assert {**line, "finished": ""} == {**shared[name], "finished": ""}
        if line["state"] is not None:
            here, there = (MemoryState.load(folder / line["state"]) for folder in (one, two))
            assert (here.sources, here.attachments) == (there.sources, there.attachments)
            assert all(torch.equal(tensor, there.tensors[key]) for key, tensor in here.tensors.items())


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
