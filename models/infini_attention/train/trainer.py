"""The training loop: one process or many (accelerate), resumable, the same for the same seed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .checkpoint import load_checkpoint, save_checkpoint
from .graph_replay import GraphReplays
from .rollout import Learner, Part, Rollout, RolloutOutcome
from .segments import Segment
from .tasks import BatchShape, TrainingTask
from .training_plan import TrainingPlan

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
# Processes that draw batches for an accelerator, which would wait for them otherwise, at most.
MOST_WORKERS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """One optimiser step, as told to the caller and to the log.

    Attributes:
        step: steps done, of ``steps``.
        task: what was trained.
        loss: nats a labelled token.
        accuracy: share of labelled tokens whose most likely prediction was right; for passkeys, the recall.
        tokens: tokens read so far, all processes together.
        tokens_per_second: of this step, all processes together.
        lr: learning rate of the low-rank changes.
        gradient: gradient norm before clipping.
        segments, length, batch: shape of this process's batch.
    """

    step: int
    steps: int
    task: str
    loss: float
    accuracy: float
    tokens: int
    tokens_per_second: float
    lr: float
    gradient: float
    segments: int
    length: int
    batch: int


def train(
    learner: Learner,
    tasks: Mapping[str, TrainingTask],
    plan: TrainingPlan,
    out: Path,
    identity: str,
    *,
    every: int = 20,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_checkpoint: Callable[[], None] = lambda: None,
) -> int:
    """Trains in place; goes on from a checkpoint in ``out`` where there is one.

    Args:
        learner: what is trained, a module; the rest of it is frozen here.
        tasks: the plan's tasks by name.
        plan: phases and optimiser.
        out: folder of the checkpoint and of the log, a JSON line a step.
        identity: tells runs apart, so that a checkpoint is not continued by another one.
        every: steps between checkpoints.
        on_step: called after each step, on the main process only.
        on_checkpoint: called after each checkpoint, on the main process only; of a run that is done already, once.

    Returns:
        Steps that were done in this call.
    """
    parameters = learner.trained()
    # Dropout belongs to the base's pretraining; a frozen base is used as it will be used.
    learner.model.eval()
    kind = next(iter(parameters.values())).device.type
    optimiser = torch.optim.AdamW(_groups(parameters, plan), betas=(0.9, 0.95), weight_decay=0.0, fused=kind == "cuda")
    # Which parameters a step reaches depends on its roll-out (a decay needs two writes).
    reached = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=kind == "cpu", kwargs_handlers=[reached])
    path = out / CHECKPOINT
    done = load_checkpoint(path, parameters, optimiser, identity) if path.exists() else 0
    rollout, optimiser = accelerator.prepare(learner, optimiser)
    out.mkdir(parents=True, exist_ok=True)
    read = _resume_log(out / LOG, done) if accelerator.is_main_process else 0
    if done == plan.steps and accelerator.is_main_process:
        # Cut between its last checkpoint and what was to follow it, perhaps.
        on_checkpoint()
    take = _Step(learner, rollout, parameters, optimiser, accelerator, plan)
    with quick_products(accelerator.device):
        began = time.monotonic()
        for step, batch in enumerate(_batches(tasks, plan, done, accelerator), done):
            counts, norm = take(step, batch)
            if accelerator.is_main_process:
                tokens = sum(segment.ids.numel() for segment in batch.parts) * accelerator.num_processes
                read += tokens
                speed, lr = tokens / (time.monotonic() - began), optimiser.param_groups[0]["lr"]
                progress = _progress(step + 1, plan.steps, batch, counts, read, speed, lr, norm)
                _log(out / LOG, progress, batch.phase)
                if (step + 1) % every == 0 or step + 1 == plan.steps:
                    save_checkpoint(path, step + 1, parameters, optimiser, identity)
                    on_checkpoint()
                on_step(progress)
                began = time.monotonic()
    accelerator.wait_for_everyone()
    return plan.steps - done


class _Step:
    """An optimiser step on a batch: replayed where a recording of its shape can be."""

    def __init__(
        self,
        learner: Learner,
        rollout: Callable[[Sequence[Part]], RolloutOutcome],
        parameters: Mapping[str, nn.Parameter],
        optimiser: torch.optim.Optimizer,
        accelerator: Accelerator,
        plan: TrainingPlan,
    ) -> None:
        self.rollout, self.optimiser, self.accelerator, self.plan = rollout, optimiser, accelerator, plan
        self.parameters = list(parameters.values())
        # What several processes do to each other's gradients is not recorded.
        alone = accelerator.device.type == "cuda" and accelerator.num_processes == 1 and isinstance(learner, Rollout)
        self.replays = GraphReplays(learner, parameters) if alone else None

    def __call__(self, step: int, batch: _Batch) -> tuple[Tensor, Tensor]:
        """Takes it; returns loss, hits and labels of each process, ``[processes, 3]``, and the gradient's norm."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * self.plan.lr_ratio(step)
        if self.replays is not None and batch.shape.bucket is not None:
            outcome = self.replays(cast(Sequence[Segment], batch.parts))
        else:
            outcome = self.rollout([segment.to(self.accelerator.device) for segment in batch.parts])
            self.optimiser.zero_grad()
            self.accelerator.backward(outcome.loss)
        norm: Tensor = self.accelerator.clip_grad_norm_(self.parameters, self.plan.clip)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
        figures = (outcome.loss.detach().float(), outcome.correct.float(), outcome.labelled.float())
        counts: Tensor = self.accelerator.gather(torch.stack(figures).to(self.accelerator.device)[None])
        return counts, norm


def _log(log: Path, progress: Progress, phase: int) -> None:
    with log.open("a") as file:
        file.write(json.dumps({**dataclasses.asdict(progress), "phase": phase}) + "\n")


def _progress(
    step: int, steps: int, batch: _Batch, counts: Tensor, tokens: int, speed: float, lr: float, norm: Tensor
) -> Progress:
    shape = batch.shape
    return Progress(
        step,
        steps,
        batch.task,
        round(float(counts[:, 0].mean()), 4),
        round(float(counts[:, 1].sum() / counts[:, 2].sum()), 4),
        tokens,
        round(speed, 1),
        lr,
        round(float(norm), 4),
        shape.segments,
        shape.length,
        shape.batch,
    )


@contextlib.contextmanager
def quick_products(device: torch.device) -> Iterator[None]:
    """Inside, products of float32 tensors are made of TF32 on a GPU that has it.

    Memories are written and read in float32, which is slow there; TF32 keeps more digits than the base's bfloat16.
    """
    before = torch.get_float32_matmul_precision()
    try:
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclasses.dataclass(frozen=True, slots=True)
class _Batch:
    phase: int
    task: str
    shape: BatchShape
    parts: Sequence[Part]


class _Drawn(Dataset[_Batch]):
    """What each step of a plan reads, by the step's number."""

    def __init__(self, tasks: Mapping[str, TrainingTask], plan: TrainingPlan, process: int) -> None:
        self.tasks, self.plan, self.process = tasks, plan, process

    def __getitem__(self, step: int) -> _Batch:
        number, phase = self.plan.phase_at(step)
        # All processes take the same task and shape, or the faster ones would wait; what they read differs.
        name, shape = phase.draw(np.random.default_rng([self.plan.seed, step]))
        rng = np.random.default_rng([self.plan.seed, step, 1 + self.process])
        return _Batch(number, name, shape, self.tasks[name].sample(shape, rng))


def _batches(
    tasks: Mapping[str, TrainingTask], plan: TrainingPlan, done: int, accelerator: Accelerator
) -> DataLoader[_Batch]:
    """The batches of the steps that are left: drawn ahead, by other processes, where an accelerator would wait for them."""
    workers = 0
    if accelerator.device.type != "cpu":
        workers = min(MOST_WORKERS, max(1, (os.cpu_count() or 2) // (2 * accelerator.num_processes)))
    return DataLoader(
        _Drawn(tasks, plan, accelerator.process_index),
        batch_size=None,
        sampler=range(done, plan.steps),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        # Tokenizers and texts are there already; a process that starts anew would load them again.
        multiprocessing_context="fork" if workers else None,
    )


def _groups(parameters: Mapping[str, nn.Parameter], plan: TrainingPlan) -> list[dict[str, object]]:
    def is_gate(name: str) -> bool:
        return name.rsplit(".", 1)[-1].startswith(
            ("gate_", "beta_", "g_", "ngram_", "key_state_", "value_state_", "words")
        )

    return [
        {"params": [p for n, p in parameters.items() if not is_gate(n)], "peak": plan.lr, "lr": plan.lr},
        {"params": [p for n, p in parameters.items() if is_gate(n)], "peak": plan.gate_lr, "lr": plan.gate_lr},
    ]


def _resume_log(log: Path, done: int) -> int:
    """Drops the lines of steps that a cut run did after its last checkpoint; returns the tokens read up to that."""
    if not log.exists():
        return 0
    records = [json.loads(line) for line in log.read_text().splitlines()]
    kept = [record for record in records if record["step"] <= done]
    log.write_text("".join(json.dumps(record) + "\n" for record in kept))
    return max((int(record["tokens"]) for record in kept), default=0)
