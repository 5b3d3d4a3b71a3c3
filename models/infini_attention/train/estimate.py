"""What a training run will take: a roll-out of each of its tasks, timed before it is begun."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from ..model.device import peak_bytes
from .rollout import Learner
from .tasks import TrainingTask
from .training_plan import TrainingPlan

# Roll-outs of each task and phase that are timed.
DRAWS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes in one process.

    Attributes:
        tokens: tokens read.
        seconds: of all steps; the optimiser's share, checkpoints and the network between processes come on top.
        bytes: most memory in use at once: of the device where it has its own, else of the process. The optimiser's
            share comes on top here too, twice the size of the trained parameters.
    """

    tokens: int
    seconds: float
    bytes: int


def tokens_to_time(plan: TrainingPlan) -> int:
    """About how many tokens the roll-outs have that an estimate times."""
    return sum(DRAWS * phase.tokens for phase in plan.phases for weight in phase.tasks.values() if weight > 0)


def estimate(
    learner: Learner,
    tasks: Mapping[str, TrainingTask],
    plan: TrainingPlan,
    *,
    on_tokens: Callable[[int], None] = lambda tokens: None,
) -> Estimate:
    """Times roll-outs of every task of every phase, forwards and backwards, and adds them up by their weights.

    Args:
        learner: what is to be trained; its parameters do not change.
        tasks: the plan's tasks by name.
        plan: what is to be trained.
        on_tokens: called after each roll-out with the tokens of ``tokens_to_time`` that it stands for.
    """
    parameters = learner.trained()
    device = next(iter(parameters.values())).device
    tokens = seconds = 0.0
    for number, phase in enumerate(plan.phases):
        total = sum(phase.tasks.values())
        for name, weight in phase.tasks.items():
            if weight <= 0:
                continue
            steps = phase.steps * weight / total
            for draw in range(DRAWS):
                rng = np.random.default_rng([plan.seed, number, draw])
                _, shape = phase.draw(rng)
                segments = [segment.to(device) for segment in tasks[name].sample(shape, rng)]
                began = time.monotonic()
                learner(segments).loss.backward()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                seconds += steps / DRAWS * (time.monotonic() - began)
                tokens += steps / DRAWS * sum(segment.ids.numel() for segment in segments)
                for parameter in parameters.values():
                    parameter.grad = None
                on_tokens(phase.tokens)
    return Estimate(math.ceil(tokens), seconds, peak_bytes(device))
