"""A whole adaptation: training, and the folder that holds what came out."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from safetensors.torch import save

from ..evaluate.baselines.recurrent import WEIGHTS, MemoryTokens, load_recurrent, weights_file
from ..files import atomic_writer
from ..memory.config import InfiniConfig
from ..model.adapters import LoraAdapter, load_lora
from ..model.loading import Loaded
from ..model.recipe import ADAPTER, READER_WEIGHTS, RECIPE, RERANKER_WEIGHTS, Recipe, usual_answers
from ..qa.reranker import Reranker, load_reranker
from .catalogue import MEMORY, READER, RERANKER, SYSTEMS
from .memory_tokens import RecurrentRollout
from .passage_reading import ReaderRollout
from .reranking import RerankerRollout
from .rollout import Rollout
from .tasks import TrainingTask
from .trainer import Progress, train
from .training_plan import TrainingPlan

# What can be trained, and where its weights go.
Trained = Rollout | RecurrentRollout | RerankerRollout | ReaderRollout
FILES = {
    Rollout: ADAPTER,
    RecurrentRollout: WEIGHTS,
    RerankerRollout: RERANKER_WEIGHTS,
    ReaderRollout: READER_WEIGHTS,
}
# These stand beside a model's own weights, with a plan of their own.
BESIDE = {RERANKER_WEIGHTS: "reranker.toml", READER_WEIGHTS: "reader.toml"}


def learner_of(loaded: Loaded, system: str = MEMORY, *, fresh: bool = False) -> Trained:
    """What is trained, in place.

    Args:
        loaded: the model, with the adapter that it has, if any.
        system: one of ``SYSTEMS``: its memory path, the baseline ``rmt`` on its base, its reranker or
            its reader.
        fresh: begin anew where the model has weights for the baseline, the reranker or the reader.

    Raises:
        ValueError: no such system is trained.
        InfiniError: the baseline lacks a package, or its weights belong to another base.
    """
    if system == MEMORY:
        return Rollout(loaded.model)
    if system not in SYSTEMS:
        raise ValueError(f"unknown system {system!r}; known are {', '.join(SYSTEMS)}")
    model, recipe = loaded.model, loaded.recipe
    if system == RERANKER:
        return RerankerRollout((None if fresh else load_reranker(model, recipe.reranker_file)) or Reranker(model))
    if system == READER:
        return ReaderRollout(
            (None if fresh else load_lora(model, READER, recipe.reader_file)) or LoraAdapter(model, READER)
        )
    if fresh or weights_file(recipe.folder) is None:
        return RecurrentRollout(MemoryTokens(model))
    return RecurrentRollout(load_recurrent(model, recipe.folder, recipe.name))


def adapt(
    loaded: Loaded,
    learner: Trained,
    tasks: Mapping[str, TrainingTask],
    plan: TrainingPlan,
    out: Path,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Trains, and writes what was trained as a recipe folder that ``load`` takes: at every checkpoint, to be tried meanwhile.

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
    weights = FILES[type(learner)]
    part = "" if weights == ADAPTER else weights
    identity = hashlib.sha256(f"{loaded.origin}{plan.digest()}{part}".encode()).hexdigest()

    def write() -> None:
        # The folder is a whole model: the one that it was trained from, with another part.
        _keep_model(loaded, out)
        if weights in BESIDE:
            write_recipe(loaded.recipe, _memory_of(loaded), out / BESIDE[weights], plan.to_dict())
        elif weights == ADAPTER:
            # What was measured with the memory before does not hold for this one.
            recipe = dataclasses.replace(loaded.recipe, scores={})
            write_recipe(recipe, loaded.config, out / RECIPE, plan.to_dict())
        tensors = {name: parameter.detach().cpu().contiguous() for name, parameter in learner.trained().items()}
        with atomic_writer(out / weights, binary=True) as file:
            file.write(save(tensors))

    train(learner, tasks, plan, out, identity, on_step=on_step, on_checkpoint=write)
    return out


def write_recipe(
    recipe: Recipe, config: InfiniConfig | None, file: Path, training: Mapping[str, Any] | None = None
) -> None:
    """Writes a recipe, which ``recipe.read`` gives back, whatever its folder.

    Args:
        recipe: of the model that was trained.
        config: its memory path; ``None`` if it has none.
        file: where to.
        training: a plan's values, in the place of the recipe's own.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {
        "name": recipe.name,
        "base": recipe.base.to_dict(),
        "training": dict(recipe.training if training is None else training),
    }
    if recipe.scores:
        values["scores"] = dict(recipe.scores)
    if recipe.refuse_below is not None:
        values["refuse_below"] = recipe.refuse_below
    if config is not None:
        values["config"] = {key: value for key, value in config.to_dict().items() if value is not None}
    if answers := recipe.answers.to_dict(usual_answers(memory=config is not None)):
        values["answers"] = answers
    file.write_text(tomli_w.dumps(values), encoding="utf-8")


def _memory_of(loaded: Loaded) -> InfiniConfig | None:
    return loaded.config if loaded.memory else None


def _keep_model(loaded: Loaded, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    recipe = loaded.recipe
    if recipe.folder is None or not (recipe.folder / RECIPE).is_file():
        write_recipe(recipe, _memory_of(loaded), out / RECIPE)
    elif recipe.folder.resolve() != out.resolve():
        for name in (RECIPE, ADAPTER, WEIGHTS, *BESIDE, *BESIDE.values()):
            if (recipe.folder / name).is_file():
                shutil.copyfile(recipe.folder / name, out / name)
