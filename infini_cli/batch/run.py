"""A run over many documents: planned, done somewhere, recorded as it goes, and summed up."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from infini_attention.documents.reading import ReadingInterrupted
from infini_attention.errors import InfiniError

from infini_cli.batch.manifest import Manifest, Record, read_folder
from infini_cli.batch.plan import Shard, Task, Wanted, manifest_name, plan
from infini_cli.batch.worker import Job, Outcome, Reader
from infini_cli.exits import EXIT_PARTIAL
from infini_cli.fetching import fetch
from infini_cli.interrupt import deferred_interrupt
from infini_cli.output import Console

SUMMARY_SCHEMA = "infini.batch-summary/1"


@dataclasses.dataclass(frozen=True)
class Where:
    """Where documents are read.

    Attributes:
        jobs: Processes on this machine, or actors of the cluster; None leaves it open.
        ray: On a Ray cluster.
        shard: Which part of the documents is this run's.
    """

    jobs: int | None = None
    ray: bool = False
    shard: Shard | None = None


@dataclasses.dataclass
class Tally:
    """What a run has done so far.

    Attributes:
        manifest: Where it is recorded.
        total: Documents of the run.
        records: The record of each document that is done, in the order in which they were.
        skipped: How many of them had been read before.
        interrupted: Whether the person stopped it.
    """

    manifest: Path
    total: int
    records: list[Record] = dataclasses.field(default_factory=list)
    skipped: int = 0
    interrupted: bool = False

    @property
    def failed(self) -> int:
        """Documents that could not be read."""
        return sum(record.status == "error" for record in self.records)

    @property
    def read(self) -> int:
        """Documents that were read in this run."""
        return len(self.records) - self.skipped - self.failed

    def value(self) -> dict[str, Any]:
        """The run as JSON values."""
        return {
            "schema": SUMMARY_SCHEMA,
            "manifest": str(self.manifest),
            "documents": self.total,
            **{key: getattr(self, key) for key in ("read", "skipped", "failed", "interrupted")},
            "records": [record.line() for record in self.records],
        }

    def require_all(self) -> None:
        """Tell that documents failed, if any did.

        Raises:
            InfiniError: With exit status 6.
        """
        if self.failed:
            done = "document" if self.total == 1 else "documents"
            raise InfiniError(
                f"{self.failed} of {self.total} {done} could not be read",
                f"See {self.manifest}; run the same command again when they are mended: what is done is skipped.",
                EXIT_PARTIAL,
            )


def run(
    wanted: Sequence[Wanted], job: Job, where: Where, console: Console, told: Callable[[Record], None] = lambda _: None
) -> Tally:
    """Read many documents, each into a state of its own, and record each in the folder's manifest.

    Args:
        wanted: The documents, at least one.
        job: Folder, model and options; the folder is made if only it is missing.
        where: Where the work is done.
        console: Where notes go.
        told: Called with the record of each document, after it was written.

    Raises:
        InfiniError: If the folder cannot be written or the model cannot be loaded; not if documents cannot be read.
    """
    _make(job.folder)
    records = read_folder(job.folder, console)
    tasks = plan(wanted, records, where.shard)
    twice = len(wanted) - len({each.key for each in wanted})
    if twice:
        console.note(f"{twice} of {len(wanted)} documents are named more than once and read once")
    known = set(records)
    manifest = Manifest(job.folder / manifest_name(where.shard))
    tally = Tally(manifest.path, len(tasks))
    # Ray's own waiting only ends with an interrupt.
    stoppable: contextlib.AbstractContextManager[Callable[[], bool]]
    stoppable = contextlib.nullcontext(lambda: False) if where.ray else deferred_interrupt()
    with stoppable as interrupted, contextlib.closing(manifest):
        try:
            with contextlib.closing(_outcomes(tasks, job, where, console, interrupted)) as outcomes:
                for outcome in outcomes:
                    if outcome.record not in known:
                        manifest.append(outcome.record)
                    tally.records.append(outcome.record)
                    tally.skipped += outcome.skipped
                    _tell(outcome, tally, console)
                    told(outcome.record)
        except KeyboardInterrupt:
            tally.interrupted = True
        tally.interrupted |= interrupted() and len(tally.records) < len(tasks)
    counts = f"{tally.read} read, {tally.skipped} skipped as done before, {tally.failed} failed"
    if tally.interrupted:
        console.note(f"interrupted: {counts}, {tally.total - len(tally.records)} left; the same command goes on")
    else:
        console.note(f"{tally.manifest}: {counts}")
    return tally


def _outcomes(
    tasks: Sequence[Task], job: Job, where: Where, console: Console, interrupted: Callable[[], bool]
) -> Generator[Outcome]:
    if not tasks:
        return
    if where.ray:
        from infini_cli.batch.on_ray import read_all

        yield from read_all(tasks, job, where.jobs)
    elif (where.jobs or 1) > 1:
        from infini_cli.batch.pool import outcomes

        _fetch(job, console)
        yield from outcomes(tasks, job, where.jobs or 1, interrupted, lambda notes: _note(notes, console))
    else:
        reader = Reader(job, console)
        with contextlib.suppress(ReadingInterrupted):
            for task in tasks:
                if interrupted():
                    return
                yield reader.read(task, interrupted)


def _fetch(job: Job, console: Console) -> None:
    """Fetch a model's weights once, before many processes want them."""
    from infini_attention.model.recipe import DEFAULT, find

    fetch(find(job.settings.model or DEFAULT).base, console)


def _tell(outcome: Outcome, tally: Tally, console: Console) -> None:
    _note(outcome.notes, console)
    record = outcome.record
    if record.status == "error":
        what = f"{record.source} failed: {record.error}"
    elif outcome.skipped:
        what = f"{record.source} was read before, into {record.state}"
    else:
        what = f"{record.source} is in {record.state}"
    console.note(f"{len(tally.records)} of {tally.total}: {what}")


def _note(notes: str, console: Console) -> None:
    for line in notes.splitlines():
        console.note(line)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(0o700, exist_ok=True)
    except FileNotFoundError:
        raise InfiniError(
            f"the directory {folder.parent} does not exist", f"Make it first: mkdir -p {folder.parent}"
        ) from None
    except OSError as error:
        raise InfiniError(f"{folder} cannot be made: {error.strerror}", "Choose another folder with -o.") from error
