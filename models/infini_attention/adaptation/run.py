"""A whole adaptation: training, and the folder that holds what came out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import tomli_w
from safetensors.torch import save_file

from ..baselines.recurrent import WEIGHTS, MemoryTokens, load_recurrent, weights_file
from ..loading import Loaded
from ..recipes import ADAPTER, RECIPE
from .catalogue import MEMORY, SYSTEMS
from .plan import TrainingPlan
from .recurrent import RecurrentRollout
from .rollout import Rollout
from .tasks import Task
from .trainer import Progress, train


def learner_of(loaded: Loaded, system: str = MEMORY, *, fresh: bool = False) -> Rollout | RecurrentRollout:
    """What is trained, in place.

    Args:
        loaded: the model, with the adapter that it has, if any.
        system: one of ``SYSTEMS``: its memory path, or the baseline ``rmt`` on its base.
        fresh: begin anew where the model has weights for the baseline.

    Raises:
        ValueError: no such system is trained.
        InfiniError: the baseline lacks a package, or its weights belong to another base.
    """
    if system == MEMORY:
        return Rollout(loaded.model)
    if system not in SYSTEMS:
        raise ValueError(f"unknown system {system!r}; known are {', '.join(SYSTEMS)}")
    folder = loaded.recipe.folder
    if fresh or weights_file(folder) is None:
        return RecurrentRollout(MemoryTokens(loaded.model))
    return RecurrentRollout(load_recurrent(loaded.model, folder, loaded.recipe.name))


def adapt(
    loaded: Loaded,
    learner: Rollout | RecurrentRollout,
    tasks: Mapping[str, Task],
    plan: TrainingPlan,
    out: Path,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Trains, and writes what was trained as a recipe folder that ``load`` takes.

    Args:
        loaded: the model.
        learner: what is trained of it (see ``learner_of``).
        tasks: the plan's tasks by name (see ``catalogue.tasks_of``).
        plan: what to train on and how long.
        out: folder for the weights, ``recipe.toml``, the checkpoint and the log. A checkpoint there of the same run is
            gone on from.
        on_step: called after each optimiser step.

    Returns:
        ``out``.
    """
    weights = ADAPTER if isinstance(learner, Rollout) else WEIGHTS
    told = "" if isinstance(learner, Rollout) else weights
    identity = hashlib.sha256(f"{loaded.origin}{plan.digest()}{told}".encode()).hexdigest()
    train(learner, tasks, plan, out, identity, on_step=on_step)
    write_recipe(loaded, plan, out)
    tensors = {name: parameter.detach().cpu().contiguous() for name, parameter in learner.trained().items()}
    save_file(tensors, out / weights)
    return out


def write_recipe(loaded: Loaded, plan: TrainingPlan, out: Path) -> None:
    """Writes the recipe that says how weights came about."""
    out.mkdir(parents=True, exist_ok=True)
    base = loaded.recipe.base
    values = {
        "name": loaded.recipe.name,
        "base": {key: getattr(base, key) for key in base.__slots__ if getattr(base, key) is not None},
        "config": {key: value for key, value in loaded.config.to_dict().items() if value is not None},
        "training": plan.to_dict(),
    }
    (out / RECIPE).write_text(tomli_w.dumps(values), encoding="utf-8")
