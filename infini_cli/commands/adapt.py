"""`infini adapt`: train the memory path of a model whose own weights stay as they are."""

from __future__ import annotations

import dataclasses
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from infini_attention.errors import InputError, UsageFailure
from infini_attention.files import require_folder

from infini_cli import completion, options
from infini_cli.opening import load_model
from infini_cli.training import training_progress
from infini_cli.values import LARGEST_SEED, whole_number

if TYPE_CHECKING:
    from infini_attention import Loaded
    from infini_attention.model.recipe import Recipe
    from infini_attention.train.estimate import Estimate
    from infini_attention.train.training_plan import Phase, TrainingPlan


class System(StrEnum):
    """What can be trained."""

    MEMORY = "memory"
    RERANKER = "reranker"
    READER = "reader"
    RMT = "rmt"


Folder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the adapter, its recipe, log, checkpoint.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE|DIR", help="Long texts: .txt, .md, .jsonl, .jsonl.gz.", show_default=False),
]
Questions = Annotated[
    Path | None,
    typer.Option(
        "--questions",
        metavar="FILE|DIR",
        help="Texts with questions: .jsonl, .jsonl.gz.",
        show_default=False,
    ),
]
Plan = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="FILE|NAME",
        help="Recipe with the training plan; that of the model if left out.",
        show_default=False,
        autocompletion=completion.models,
    ),
]
Steps = Annotated[int | None, whole_number("--steps", help="Scale the plan to N steps.", show_default=False)]
Seed = Annotated[
    int | None, whole_number("--seed", least=0, most=LARGEST_SEED, help="Instead of the plan's.", show_default=False)
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Start from an untrained memory path, not from the model's adapter.")
]
Trained = Annotated[
    System,
    typer.Option(
        "--system",
        metavar="NAME",
        help="memory; reranker (finds passages) and reader (answers from them), for ask; rmt: memory tokens, to compare.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only measure and print the tokens, time and memory that it takes.")
]


@options.expanded
def adapt(
    ctx: typer.Context,
    output: Folder,
    data: Data = None,
    questions: Questions = None,
    recipe: Plan = None,
    steps: Steps = None,
    seed: Seed = None,
    fresh: Fresh = False,
    system: Trained = System.MEMORY,
    rule: options.OwnRule = None,
    dry_run: DryRun = False,
    *,
    settings: options.Settings,
) -> None:
    """Train the memory path of a base model; the base stays frozen.

    The folder can be used as a model from the first checkpoint on. A run that was interrupted goes on from its last one
    when the same command is given again. Several processes:
    torchrun --nproc-per-node 2 -m infini_cli adapt ...
    """
    # Set before torch is imported: its notes about unused parameters, one a process, help nobody here.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if rule is not None and system is not System.MEMORY:
        raise UsageFailure(f"the system {system} has no update rule", "Leave out --rule.")
    require_folder(output)
    for path in (data, questions):
        if path is not None and not path.exists():
            raise InputError(f"{path} does not exist", "Give a text file, or a folder of texts.")
    settings, named = _of_this_process(settings), options.named_model(ctx, settings)
    from infini_attention.train.catalogue import lacking

    chosen = _recipe(recipe or settings.model)
    if recipe is None and system is System.MEMORY:
        chosen = chosen.for_own_texts()
    plan = _plan(chosen, steps, seed)
    if recipe is None and (data is not None or questions is not None):
        whole, plan = plan, plan.without(lacking(plan, data, questions))
        if plan != whole:
            settings.console.note(f"left out for want of texts: {', '.join(sorted(whole.tasks - plan.tasks))}")
    if dry_run and lacking(plan, data, questions):
        settings.console.note("pass --data or --questions, as for the training, to have its time and memory measured")
        _tell_plan(plan, None, settings)
        return
    loaded = load_model(
        settings,
        settings.console,
        named or recipe,
        rule=rule,
        # A stage may change the path that it goes on with; what stands beside it goes with the model's own.
        config=chosen.config if recipe is not None and system is System.MEMORY else None,
        untrained=fresh,
        needs_adapter=system is System.MEMORY,
    )
    _learn(settings, loaded, plan, Texts(data, questions), system.value, output, fresh=fresh, dry_run=dry_run)


@dataclasses.dataclass(frozen=True)
class Texts:
    """What is learnt from."""

    data: Path | None
    questions: Path | None


def _learn(
    settings: options.Settings,
    loaded: Loaded,
    plan: TrainingPlan,
    texts: Texts,
    system: str,
    output: Path,
    *,
    fresh: bool,
    dry_run: bool,
) -> None:
    """Train, or only measure what it takes, and tell what came of it."""
    from infini_attention.train.adaptation import adapt, learner_of
    from infini_attention.train.catalogue import tasks_of

    console = settings.console
    tasks = tasks_of(loaded, plan, texts.data, questions=texts.questions, system=system, notify=console.note)
    learner = learner_of(loaded, system, fresh=fresh)
    if dry_run:
        from infini_attention.train.estimate import estimate, tokens_to_time

        with console.progress(tokens_to_time(plan), "timing each task") as advance:
            measured = estimate(learner, tasks, plan, on_tokens=advance)
        _tell_plan(plan, measured, settings)
        return
    with training_progress(console, plan.steps) as on_step:
        folder = adapt(loaded, learner, tasks, plan, output, on_step=on_step)
    console.note(f"trained: use it with --model {folder}" + (" --system rmt" if system == System.RMT else ""))
    if _is_first():
        last = None if on_step.last is None else dataclasses.asdict(on_step.last)
        value = {"schema": "infini.adapt/1", "folder": str(folder), "steps": plan.steps, "last": last}
        settings.answer(None, [], value)


def _is_first() -> bool:
    """Of several processes of torchrun, the first one does the talking."""
    return os.environ.get("RANK", "0") == "0"


def _of_this_process(settings: options.Settings) -> options.Settings:
    """The settings with the GPU that this process of torchrun has for itself, where nobody asked for another."""
    if not _is_first():
        settings = dataclasses.replace(settings, quiet=True, verbose=False)
    own = _own_device() if settings.device == "auto" else None
    return settings if own is None else dataclasses.replace(settings, device=own)


def _own_device() -> str | None:
    """Each process of torchrun has a GPU of its own, where there are any."""
    local = os.environ.get("LOCAL_RANK")
    if local is None:
        return None
    import torch

    return f"cuda:{local}" if torch.cuda.is_available() else None


def _recipe(name: str | None) -> Recipe:
    from infini_attention.model.recipe import DEFAULT, find

    return find(name or DEFAULT)


def _plan(recipe: Recipe, steps: int | None, seed: int | None) -> TrainingPlan:
    from infini_attention.train.training_plan import TrainingPlan

    if not recipe.training:
        raise UsageFailure(
            f"the recipe {recipe.name} has no training plan",
            "Add a [training] table to it, or choose one with --recipe.",
        )
    try:
        plan = TrainingPlan.from_dict(recipe.training)
    except ValueError as error:
        raise UsageFailure(
            f"the training plan of {recipe.name} cannot be used: {error}", "Correct its [training] table."
        ) from error
    plan = plan if steps is None else plan.scaled(steps)
    return plan if seed is None else dataclasses.replace(plan, seed=seed)


def _tell_plan(plan: TrainingPlan, measured: Estimate | None, settings: options.Settings) -> None:
    if not _is_first():
        return
    settings.answer(None, _in_words(plan, measured), {"schema": "infini.plan/1", **_in_figures(plan, measured)})


def _in_words(plan: TrainingPlan, measured: Estimate | None) -> list[str]:
    lines = [f"{plan.steps} steps in {len(plan.phases)} phases, seed {plan.seed}"]
    for number, phase in enumerate(plan.phases, 1):
        tasks = ", ".join(f"{name} {weight:g}" for name, weight in phase.tasks.items())
        lengths = ", ".join(map(str, phase.lengths))
        first, last = phase.segments
        # What a reranker or a reader reads beside that follows from its texts.
        shape = f" of about {phase.tokens:,} tokens" if _counts_tokens(phase) else ""
        shape += f"; {first} to {last} segments of {lengths}" if _has_segments(phase) else ""
        lines.append(f"phase {number}: {phase.steps} steps{shape}; {tasks}")
    if measured is not None:
        minutes = max(1, round(measured.seconds / 60))
        lines.append(
            f"each process: about {measured.tokens:,} tokens, {minutes // 60} h {minutes % 60} min, "
            f"{measured.bytes / 2**30:.1f} GiB of memory"
        )
    return lines


def _in_figures(plan: TrainingPlan, measured: Estimate | None) -> dict[str, Any]:
    planned = [phase for phase in plan.phases if _counts_tokens(phase)]
    tokens = sum(phase.steps * phase.tokens for phase in planned) if planned else None
    figures = {"steps": plan.steps, "tokens": tokens, "plan": plan.to_dict()}
    return figures if measured is None else {**figures, "measured": dataclasses.asdict(measured)}


def _counts_tokens(phase: Phase) -> bool:
    from infini_attention.train.catalogue import OWNED

    return not set(phase.tasks) <= set(OWNED)


def _has_segments(phase: Phase) -> bool:
    from infini_attention.train.catalogue import OWN, RERANKER

    return not set(phase.tasks) <= set(OWN[RERANKER])
