"""The training loop: it learns, goes on after an interruption as if there was none, and knows its own checkpoints."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from infini_attention.errors import InfiniError
from infini_attention.memory.inject import inject
from infini_attention.memory.parameters import memory_parameters
from infini_attention.train.estimate import estimate, tokens_to_time
from infini_attention.train.rollout import Rollout, RolloutOutcome
from infini_attention.train.segments import Segment
from infini_attention.train.tasks import BatchShape
from infini_attention.train.trainer import CHECKPOINT, LOG, Progress, _batches, quick_products, train
from infini_attention.train.training_plan import TrainingPlan

from models import (
    Announced,
    Model,
    base_model,
    short_plan,
    small_config,
)


def untrained() -> Model:
    model = base_model()
    inject(model, small_config())
    return model


def run(
    model: Model, plan: TrainingPlan, out: Path, *, stop: int | None = None, every: int = 20, name: str = "run"
) -> list[Progress]:
    """Trains; ``stop`` interrupts after that many steps, as Ctrl-C does."""
    told: list[Progress] = []

    def on_step(progress: Progress) -> None:
        told.append(progress)
        if progress.step == stop:
            raise KeyboardInterrupt

    train(Rollout(model), {"task": Announced()}, plan, out, name, every=every, on_step=on_step)
    return told


def values(model: Model) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in memory_parameters(model).items()}


def same(one: Model, two: Model) -> bool:
    left, right = values(one), values(two)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_loss_falls_and_the_base_stays(tmp_path: Path) -> None:
    model, base = untrained(), base_model()
    told = run(model, short_plan(40), tmp_path)
    losses = [progress.loss for progress in told]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert np.mean([progress.accuracy for progress in told[-5:]]) > 0.8
    state = model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in base.state_dict().items())
    moved, start = values(model), values(untrained())
    assert all(not torch.equal(moved[name], start[name]) for name in moved)


def test_the_same_seed_trains_the_same_bits_and_another_others(tmp_path: Path) -> None:
    models = [untrained() for _ in range(3)]
    for number, (model, seed) in enumerate(zip(models, (0, 0, 1), strict=True)):
        run(model, short_plan(5, seed=seed), tmp_path / str(number))
    assert same(models[0], models[1]) and not same(models[0], models[2])


@pytest.mark.parametrize(("stop", "every"), [(6, 6), (8, 3), (11, 4)])
def test_an_interrupted_run_goes_on_to_the_same_bits(stop: int, every: int, tmp_path: Path) -> None:
    plan, straight, first = short_plan(12), untrained(), untrained()
    whole = run(straight, plan, tmp_path / "whole", every=every)
    with pytest.raises(KeyboardInterrupt):
        run(first, plan, tmp_path / "cut", stop=stop, every=every)
    second = untrained()
    rest = run(second, plan, tmp_path / "cut", every=every)
    saved = stop // every * every
    assert [progress.step for progress in rest] == list(range(saved + 1, 13))
    assert same(second, straight)
    assert [(p.loss, p.gradient, p.tokens) for p in rest] == [(p.loss, p.gradient, p.tokens) for p in whole[saved:]]
    checkpoints = [torch.load(tmp_path / run / CHECKPOINT, weights_only=True)["parameters"] for run in ("whole", "cut")]
    assert all(torch.equal(checkpoints[0][name], checkpoints[1][name]) for name in checkpoints[0])


def test_an_estimate_tells_how_far_it_is_and_leaves_the_parameters_alone() -> None:
    model, plan = untrained(), short_plan(10)
    before, told = values(model), list[int]()
    found = estimate(Rollout(model), {"task": Announced()}, plan, on_tokens=told.append)
    assert sum(told) == tokens_to_time(plan) > 0
    assert found.tokens > 0 and found.seconds > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in values(model).items())
    assert all(parameter.grad is None for parameter in memory_parameters(model).values())


def test_products_are_quick_while_a_gpu_learns_and_exact_after_it() -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(KeyboardInterrupt), quick_products(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "high"
        raise KeyboardInterrupt
    assert torch.get_float32_matmul_precision() == before == "highest"
    with quick_products(torch.device("cpu")):
        assert torch.get_float32_matmul_precision() == before


class Echoing(Announced):
    """The same, and what the first segment wrote is written again, many times."""

    def sample(self, plan: BatchShape, rng: np.random.Generator) -> list[Segment]:
        first, *rest = super().sample(plan, rng)
        return [dataclasses.replace(first, replayed=(0, 0), times=20), *rest]


def test_every_part_of_a_segment_reaches_the_roll_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, seen, forward = short_plan(1), [], Rollout.forward

    def watched(rollout: Rollout, segments: list[Segment]) -> RolloutOutcome:
        seen.append(segments)
        return forward(rollout, segments)

    monkeypatch.setattr(Rollout, "forward", watched)
    train(Rollout(untrained()), {"task": Echoing()}, plan, tmp_path, "run")
    _, shape = plan.phases[0].draw(np.random.default_rng([plan.seed, 0]))
    drawn = Echoing().sample(shape, np.random.default_rng([plan.seed, 0, 1]))
    for given, wanted in zip(seen[0], drawn, strict=True):
        for field in dataclasses.fields(Segment):
            if field.name == "marks":
                assert (given.marks is None) == (wanted.marked is None)
                assert all(map(torch.equal, given.marks or (), wanted.marked or ()))
                continue
            one, two = getattr(given, field.name), getattr(wanted, field.name)
            assert torch.equal(one, two) if isinstance(two, torch.Tensor) else one == two, field.name


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    plan, model = short_plan(3), untrained()
    run(model, plan, tmp_path)
    again = untrained()
    assert run(again, plan, tmp_path) == []
    assert same(again, model)


def test_checkpoints_are_told_of_with_the_parameters_as_they_are(tmp_path: Path) -> None:
    plan, model = short_plan(8), untrained()
    told: list[tuple[int, dict[str, torch.Tensor]]] = []

    def on_checkpoint() -> None:
        saved = torch.load(tmp_path / CHECKPOINT, weights_only=True)
        told.append((saved["step"], saved["parameters"]))
        assert all(torch.equal(saved["parameters"][name], value) for name, value in values(model).items())

    def go() -> None:
        train(Rollout(model), {"task": Announced()}, plan, tmp_path, "run", every=3, on_checkpoint=on_checkpoint)

    go()
    assert [step for step, _ in told] == [3, 6, 8]
    go()
    assert [step for step, _ in told] == [3, 6, 8, 8]


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run(untrained(), short_plan(2), tmp_path, name="one")
    model = untrained()
    with pytest.raises(InfiniError, match="another run"):
        run(model, short_plan(2), tmp_path, name="two")
    assert same(model, untrained())


def test_the_log_has_a_json_line_a_step(tmp_path: Path) -> None:
    told = run(untrained(), short_plan(4), tmp_path)
    records = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    for record, progress in zip(records, told, strict=True):
        assert record["loss"] == progress.loss and record["phase"] == 0 and record["task"] == "task"
        assert record["steps"] == 4 and record["tokens_per_second"] > 0
    assert records[-1]["tokens"] == sum(p.batch * p.segments * p.length for p in told)


def test_gates_learn_at_their_own_rate(tmp_path: Path) -> None:
    model = untrained()
    run(model, short_plan(3, gate_lr=0.0), tmp_path)
    start, after = values(untrained()), values(model)
    for name, tensor in after.items():
        still = name.rsplit(".", 1)[-1].startswith(("gate_", "beta_", "g_"))
        assert torch.equal(tensor, start[name]) == still, name


def test_a_gradient_that_is_not_finite_moves_nothing(tmp_path: Path) -> None:
    class Broken(Announced):
        def sample(self, plan: BatchShape, rng: np.random.Generator) -> list[Segment]:
            with torch.no_grad():
                next(iter(memory_parameters(model).values())).fill_(torch.inf)
            return super().sample(plan, rng)

    model = untrained()
    train(Rollout(model), {"task": Broken()}, short_plan(1), tmp_path, "run")
    start, after = values(untrained()), values(model)
    changed = [name for name in start if not torch.equal(start[name], after[name])]
    assert changed == [next(iter(start))]


def test_a_bfloat16_base_trains_float32_parts(tmp_path: Path) -> None:
    model = base_model(dtype=torch.bfloat16)
    inject(model, small_config())
    told = run(model, short_plan(15), tmp_path)
    assert {parameter.dtype for parameter in memory_parameters(model).values()} == {torch.float32}
    assert np.isfinite([progress.loss for progress in told]).all()
    assert told[-1].loss < told[0].loss
    content = cast(dict[str, torch.Tensor], torch.load(tmp_path / CHECKPOINT, weights_only=True)["parameters"])
    assert {tensor.dtype for tensor in content.values()} == {torch.float32}


def test_what_other_processes_draw_for_an_accelerator_is_what_a_run_without_them_draws() -> None:
    plan = short_plan(7)
    asked = SimpleNamespace(device=torch.device("cuda"), num_processes=1, process_index=2)
    here = SimpleNamespace(device=torch.device("cpu"), num_processes=1, process_index=2)
    ahead, alone = (list(_batches({"task": Announced()}, plan, 2, cast(Any, kind))) for kind in (asked, here))
    assert len(ahead) == len(alone) == 5
    for one, two in zip(ahead, alone, strict=True):
        assert (one.phase, one.task, one.shape) == (two.phase, two.task, two.shape)
        assert all(torch.equal(a.ids, b.ids) for a, b in zip(one.parts, two.parts, strict=True))
