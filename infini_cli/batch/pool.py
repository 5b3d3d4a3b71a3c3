"""Worker processes on this machine, each with a model of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait

from infini_attention.documents.reading import ReadingInterrupted
from infini_attention.errors import InfiniError

from infini_cli.batch.plan import Task, content_hash
from infini_cli.batch.worker import Job, NoModel, Outcome, Reader, failure

# Seconds between two looks at whether the person wants to stop.
_GLANCE = 0.2
_SPAWN = multiprocessing.get_context("spawn")
_DEATH_HINT = "If memory ran out, use fewer --jobs; read the document by itself to see more."


@dataclasses.dataclass(frozen=True)
class _Ready:
    model: str
    notes: str


def outcomes(
    tasks: Sequence[Task], job: Job, jobs: int, interrupted: Callable[[], bool], say: Callable[[str], None]
) -> Iterator[Outcome]:
    """Read documents in several processes.

    Args:
        tasks: The documents.
        job: What the processes work for.
        jobs: How many there are; threads and GPUs are divided among them.
        interrupted: Asked several times a second whether to stop; then every process stops after its segment at hand.
        say: Given what a process that has just started notes about its model, unless another one noted the same.

    Yields:
        What became of each document, as they are done. A document that takes its process down fails like any other.

    Raises:
        InfiniError: If the model cannot be loaded.
    """
    import torch

    threads, gpus = max(1, torch.get_num_threads() // jobs), torch.cuda.device_count()
    waiting, said = deque(tasks), {""}
    pool: list[_Worker] = []
    fatal: InfiniError | None = None
    try:
        for index in range(min(jobs, len(tasks))):
            pool.append(_Worker(index, on_device(job, index, gpus), threads))
        while pool:
            if interrupted() or fatal is not None:
                waiting.clear()
                for worker in pool:
                    worker.stop()
            heard = wait([worker.pipe for worker in pool], timeout=_GLANCE)
            for worker in [worker for worker in pool if worker.pipe in heard]:
                match worker.receive():
                    case _Ready(model, notes):
                        worker.model = model
                        if notes not in said:
                            said.add(notes)
                            say(notes)
                        worker.give(waiting)
                    case Outcome() as outcome:
                        worker.give(waiting)
                        yield outcome
                    case NoModel() as reason:
                        fatal = reason.error()
                    case None:
                        pool.remove(worker)
                        how = worker.end()
                        if worker.model is None and not worker.stopped:
                            fatal = InfiniError(f"a process {how} while it loaded the model", _DEATH_HINT)
                        elif worker.model is not None and worker.task is not None and not worker.stopped:
                            if waiting:
                                pool.append(_Worker(worker.index, worker.job, threads))
                            yield _died(worker.task, worker.model, how)
        if fatal is not None:
            raise fatal
    finally:
        for worker in pool:
            worker.kill()


def on_device(job: Job, index: int, gpus: int) -> Job:
    """A job for one of several processes: where the settings leave it open which GPU, they take turns."""
    if gpus < 2 or job.settings.device not in ("auto", "cuda"):
        return job
    return dataclasses.replace(job, settings=dataclasses.replace(job.settings, device=f"cuda:{index % gpus}"))


class _Worker:
    """A process, seen from here. It gets tasks and then None; whatever comes while it is reading stops it."""

    def __init__(self, index: int, job: Job, threads: int) -> None:
        self.index, self.job = index, job
        self.task: Task | None = None
        self.model: str | None = None
        self.stopped = False
        self.pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, job, threads), daemon=True)
        with _without_interrupts():
            self._process.start()
        # So that the end of the process is the end of the pipe.
        theirs.close()

    def give(self, waiting: deque[Task]) -> None:
        """Hand over the next task, or the order to stop if there is none."""
        if not waiting:
            self.task = None
            self.stop()
            return
        self.task = waiting.popleft()
        self._send(self.task)

    def stop(self) -> None:
        """Let it end, after the segment at hand if it is reading."""
        if self.stopped:
            return
        self.stopped = True
        if self.model is None:
            self._process.kill()  # Loading a model can take long, and has nothing to lose.
        self._send(None)

    def receive(self) -> object:
        """What it says; None if it is gone."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """Wait for the end of a process that is gone, and say how it came."""
        self.pipe.close()
        self._process.join()
        code = self._process.exitcode or 0
        return f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self.end()

    def _send(self, message: Task | None) -> None:
        # If it is gone, the end of its pipe tells so.
        with contextlib.suppress(OSError):
            self.pipe.send(message)


def _died(task: Task, model: str, how: str) -> Outcome:
    return Outcome(failure(task, model, content_hash(task.source), f"the process that read it {how}", _DEATH_HINT))


def _serve(pipe: Connection, job: Job, threads: int) -> None:
    """What a process does."""
    # Ctrl-C, and the end of a terminal, reach all its processes; what that means is told by the first one.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        import torch

        torch.set_num_threads(threads)
        reader = Reader(job)
    except Exception as error:  # noqa: BLE001 - the other side explains it
        pipe.send(NoModel.because(error))
        return
    pipe.send(_Ready(reader.model, reader.notes))
    with contextlib.suppress(EOFError, BrokenPipeError, ReadingInterrupted):
        while (task := pipe.recv()) is not None:
            pipe.send(reader.read(task, interrupted=pipe.poll))


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Inside, Ctrl-C is ignored, also by processes that are started, until they have said what they want."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
