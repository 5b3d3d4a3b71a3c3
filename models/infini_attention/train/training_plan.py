"""What a training run does: phases of task mixes and roll-out shapes, and the optimiser's settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .tasks import BatchShape


@dataclasses.dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training with one mix and one curriculum.

    Attributes:
        steps: optimiser steps.
        tasks: weight of each task by name; a step draws one task.
        lengths: segment lengths to draw from, tokens.
        segments: fewest and most segments of a roll-out.
        tokens: tokens a step and process; decides the batch.
        backprop_segments: last segments of a roll-out that learn through the whole network; those before learn what they write.
        replayed_tokens: most tokens of hay that are replayed before what is hidden, and after it (see ``segment_replay``).
        shape_buckets: how many shapes the roll-outs of a task have, so that a GPU can replay them (see ``graph_replay``); 0: any number.
    """

    steps: int
    tasks: Mapping[str, float]
    lengths: tuple[int, ...] = (256,)
    segments: tuple[int, int] = (2, 6)
    tokens: int = 2048
    backprop_segments: int = 4
    replayed_tokens: int = 0
    shape_buckets: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.tasks or sum(self.tasks.values()) <= 0:
            raise ValueError("a phase needs steps and a task with a positive weight")
        if not self.lengths or min(self.lengths) < 2:
            raise ValueError("segment lengths must be at least 2 tokens")
        if not 2 <= self.segments[0] <= self.segments[1]:
            raise ValueError("a roll-out has at least 2 segments: the first has no memory to read")

    def draw(self, rng: np.random.Generator) -> tuple[str, BatchShape]:
        """A task's name and the shape of its batch."""
        names = sorted(self.tasks)
        weights = np.asarray([self.tasks[name] for name in names], dtype=float)
        task = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        bucket = int(rng.integers(self.shape_buckets)) if self.shape_buckets else None
        if bucket is None:
            length = int(rng.choice(self.lengths))
        else:
            length, rng = self.lengths[bucket % len(self.lengths)], np.random.default_rng(bucket)
        count = int(rng.integers(self.segments[0], self.most_segments(length) + 1))
        return task, BatchShape(
            max(1, self.tokens // (count * length)),
            count,
            length,
            min(self.backprop_segments, count),
            self.replayed_tokens // length,
            bucket,
        )

    def most_segments(self, length: int) -> int:
        """The most segments of a length that a roll-out has: those of a step's tokens, but never less than the fewest."""
        return max(self.segments[0], min(self.segments[1], self.tokens // length))


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Phases and optimiser of a run.

    Attributes:
        phases: in order.
        lr: peak learning rate of the low-rank changes.
        gate_lr: peak learning rate of gates, betas, decays and a reranker's weight for words, which must move much
            further.
        warmup: steps of linear rise.
        min_lr_ratio: share of the peak rate that is left at the last step, after a linear fall.
        clip: largest gradient norm.
        seed: everything that is drawn follows from it.
    """

    phases: tuple[Phase, ...]
    lr: float = 1e-3
    gate_lr: float = 5e-3
    warmup: int = 20
    min_lr_ratio: float = 0.1
    clip: float = 1.0
    seed: int = 0

    @property
    def steps(self) -> int:
        """Optimiser steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def tasks(self) -> frozenset[str]:
        """Names of all tasks that a step may draw."""
        return frozenset(name for phase in self.phases for name, weight in phase.tasks.items() if weight > 0)

    def phase_at(self, step: int) -> tuple[int, Phase]:
        """Number and settings of the phase that a step (from 0) belongs to."""
        for number, phase in enumerate(self.phases):
            if step < phase.steps:
                return number, phase
            step -= phase.steps
        raise ValueError("the run has fewer steps")

    def lr_ratio(self, step: int) -> float:
        """Share of the peak learning rate at a step (from 0)."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        fall = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 1 - (1 - self.min_lr_ratio) * fall

    def scaled(self, steps: int) -> TrainingPlan:
        """The same plan in another number of steps: phases keep their shares, and those left without a step go.

        Args:
            steps: at least 1.
        """
        ends = np.cumsum([phase.steps for phase in self.phases]) * steps / self.steps
        counts = np.diff(np.rint(ends).astype(int), prepend=0)
        phases = tuple(
            dataclasses.replace(phase, steps=int(count))
            for phase, count in zip(self.phases, counts, strict=True)
            if count
        )
        return dataclasses.replace(self, phases=phases, warmup=round(self.warmup * steps / self.steps))

    def without(self, names: frozenset[str]) -> TrainingPlan:
        """The same plan without some tasks; as it is where that would leave a phase with none."""
        phases = [{name: share for name, share in phase.tasks.items() if name not in names} for phase in self.phases]
        if not names or any(sum(tasks.values()) <= 0 for tasks in phases):
            return self
        return dataclasses.replace(
            self,
            phases=tuple(
                dataclasses.replace(phase, tasks=tasks) for phase, tasks in zip(self.phases, phases, strict=True)
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for TOML and JSON."""
        values = dataclasses.asdict(self)
        values["phases"] = [
            {**dataclasses.asdict(p), "lengths": list(p.lengths), "segments": list(p.segments)} for p in self.phases
        ]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingPlan:
        """Reads what ``to_dict`` wrote.

        Raises:
            ValueError: a key is unknown or a value out of range.
        """
        plain = dict(values)
        try:
            phases = tuple(
                Phase(**{**p, **{key: tuple(p[key]) for key in ("lengths", "segments") if key in p}})
                for p in plain.pop("phases")
            )
            return cls(phases, **plain)
        except (TypeError, KeyError) as error:
            raise ValueError(f"the training plan is not complete or has unknown keys: {error}") from error

    def digest(self) -> str:
        """SHA-256 (hex) over the canonical JSON."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()
