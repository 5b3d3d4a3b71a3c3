"""The same step on a Ray cluster: Ray Data maps documents to what became of them, an actor for every model.

The cluster is the one that `RAY_ADDRESS` names, or the one that runs on this machine, or one that is started for the
run. All its machines need infini, the model, and the folders of documents and states under the same paths.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from infini_attention.errors import InfiniError

from infini_cli.batch.plan import Task, content_hash
from infini_cli.batch.worker import Job, NoModel, Outcome, Reader, failure
from infini_cli.opening import PASSWORD_VARIABLE

# More would only make Ray plan for longer.
_MOST_BLOCKS = 2000
_CLUSTER_HINT = "All its machines need this release of infini and its extra ray; --debug shows more."


class RayReader:
    """A model in an actor: a callable class, as Ray Data's `map` takes it.

    Args:
        job: The run that it works for.
        password: Of encrypted PDFs; the environment of this process does not travel.
    """

    def __init__(self, job: Job, password: str | None) -> None:
        if password is not None:
            os.environ[PASSWORD_VARIABLE] = password
        self.reader: Reader | NoModel
        try:
            self.reader = Reader(job)
        except Exception as error:  # noqa: BLE001 - Ray would try it again and again
            self.reader = NoModel.because(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Read one document.

        Args:
            row: Its `number` and, pickled, its `task`.

        Returns:
            The number and, pickled, an `answer`: an `Outcome`, or why there is no model.
        """
        reader = self.reader
        answer = reader if isinstance(reader, NoModel) else reader.read(pickle.loads(row["task"]))
        return {"number": row["number"], "answer": pickle.dumps(answer)}


def read_all(tasks: Sequence[Task], job: Job, actors: int | None = None) -> Iterator[Outcome]:
    """Read documents on a Ray cluster.

    Args:
        tasks: The documents, at least one.
        job: What the actors work for.
        actors: How many models there are at most; as many as the cluster has GPUs, or processors if it has none.

    Yields:
        What became of each document, as they are done.

    Raises:
        InfiniError: If Ray is not installed or cannot be reached, or the model cannot be loaded.
    """
    ray, job = _ray(), _anywhere(job)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    # A document that takes its actor down must not stop the others; it is told of below.
    context.max_errored_blocks = -1
    for name in ("ray", "ray.data"):
        # Errors of documents are told with them.
        logging.getLogger(name).setLevel(logging.INFO if job.debug else logging.CRITICAL)
    resources = ray.cluster_resources()
    gpus = 0 if job.settings.device == "cpu" else int(resources.get("GPU", 0))
    most = min(len(tasks), actors or gpus or int(resources.get("CPU", 1)))
    rows = ray.data.from_items(
        [{"number": number, "task": pickle.dumps(task)} for number, task in enumerate(tasks)],
        override_num_blocks=min(len(tasks), _MOST_BLOCKS),
    )
    with warnings.catch_warnings():
        # Of an option that goes away with a release that the extra does not take.
        warnings.simplefilter("ignore", DeprecationWarning)
        answers = rows.map(
            RayReader,
            fn_constructor_args=(job, os.environ.get(PASSWORD_VARIABLE)),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
            num_gpus=1 if gpus else 0,
            num_cpus=1,
            # Twice only: a machine may have gone away, but without a limit a deadly document is tried for ever.
            max_task_retries=1,
        )
    left, model = dict(enumerate(tasks)), job.settings.model or ""
    try:
        # Ray prints what it has to say about lost processes, and stdout is for answers.
        with contextlib.redirect_stdout(sys.stderr):
            for row in answers.iter_rows():
                answer = pickle.loads(row["answer"])
                if isinstance(answer, NoModel):
                    raise answer.error()
                model = answer.record.model
                del left[row["number"]]
                yield answer
    except ray.exceptions.RayError as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise InfiniError(f"the Ray cluster gave up: {first}", _CLUSTER_HINT) from error
    for task in left.values():
        message = "nothing came back from the cluster: the process that read it came to its end"
        hint = "See Ray's logs; memory may have run out."
        yield Outcome(failure(task, model, content_hash(task.source), message, hint))


def _anywhere(job: Job) -> Job:
    """The same job for processes that run in another folder."""
    from infini_attention.model.recipe import DEFAULT, names

    model = job.settings.model or DEFAULT
    if model not in names() and os.path.exists(model):
        model = os.path.abspath(model)
    return dataclasses.replace(job, settings=dataclasses.replace(job.settings, model=model))


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InfiniError("Ray is not installed", "Install it with the extra: pip install 'infini[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InfiniError(
                f"no Ray cluster can be used: {error}", "Check RAY_ADDRESS, or unset it to start Ray on this machine."
            ) from error
    return ray
