"""A whole adaptation: texts to tasks, training, and the folder that holds what came out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import tomli_w
from safetensors.torch import save_file

from ..base import cache_dir
from ..errors import InfiniError
from ..inject import memory_parameters
from ..loading import Loaded
from ..passkey import Passkey
from ..recipes import ADAPTER, RECIPE
from .plan import TrainingPlan
from .tasks import LanguageModelling, PasskeyRecall, Task
from .texts import load_corpus
from .trainer import Progress, train

TASKS = (LanguageModelling.name, PasskeyRecall.name)


def adapt(
    loaded: Loaded,
    plan: TrainingPlan,
    out: Path,
    data: Path | None,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
    notify: Callable[[str], None] = lambda text: None,
) -> Path:
    """Trains a model's memory path and writes it as a recipe folder that ``load`` takes.

    Args:
        loaded: the model; its memory path is trained in place, on from the adapter that it has, if any.
        plan: what to train on and how long.
        out: folder for ``adapter.safetensors``, ``recipe.toml``, the checkpoint and the log. A checkpoint there of
            the same run is gone on from.
        data: texts for language modelling and for hay (see ``texts.load_corpus``).
        on_step: called after each optimiser step.
        notify: told what is going on.

    Returns:
        ``out``.

    Raises:
        InfiniError: the plan asks for tasks that are unknown or need data that were not given.
    """
    wanted = {name for phase in plan.phases for name, weight in phase.tasks.items() if weight > 0}
    if unknown := sorted(wanted - set(TASKS)):
        raise InfiniError(f"unknown training tasks: {', '.join(unknown)}", f"known tasks are {', '.join(TASKS)}")
    corpus = None
    if data is not None:
        corpus = load_corpus(data, loaded.encode, loaded.origin.base, cache_dir() / "tokens", notify=notify)
    tasks: dict[str, Task] = {}
    if corpus is not None:
        tasks[LanguageModelling.name] = LanguageModelling(corpus)
    elif LanguageModelling.name in wanted:
        raise InfiniError("language modelling needs texts", "pass --data FILE or --data FOLDER with long texts")
    recall = PasskeyRecall(Passkey(loaded.encode), corpus)
    for phase in plan.phases:
        if phase.tasks.get(recall.name, 0) > 0 and not recall.fits(phase.segments[0], min(phase.lengths)):
            raise InfiniError(
                f"{phase.segments[0]} segments of {min(phase.lengths)} tokens have no room for a passkey",
                "give the plan's phase longer segments, or more of them",
            )
    tasks[recall.name] = recall
    identity = hashlib.sha256(f"{loaded.origin}{plan.digest()}".encode()).hexdigest()
    train(loaded.model, tasks, plan, out, identity, on_step=on_step)
    write_recipe(loaded, plan, out)
    return out


def write_recipe(loaded: Loaded, plan: TrainingPlan, out: Path) -> None:
    """Writes the adapter and the recipe that says how it came about."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: parameter.detach().cpu().contiguous() for name, parameter in memory_parameters(loaded.model).items()
    }
    save_file(tensors, out / ADAPTER)
    base = loaded.recipe.base
    values = {
        "name": loaded.recipe.name,
        "base": {key: getattr(base, key) for key in base.__slots__ if getattr(base, key) is not None},
        "config": {key: value for key, value in loaded.config.to_dict().items() if value is not None},
        "training": plan.to_dict(),
    }
    (out / RECIPE).write_text(tomli_w.dumps(values), encoding="utf-8")
