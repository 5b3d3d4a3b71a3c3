"""Phases and training plans: validation, draws, round trips."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.model.recipe import HERE, read
from infini_attention.train.catalogue import TASKS
from infini_attention.train.training_plan import Phase, TrainingPlan

# Tokens that the base of the default model takes at once.
BASE_CONTEXT = 8192
PLAN = TrainingPlan(
    (
        Phase(30, {"language_modelling": 1.0}, lengths=(128, 256), segments=(2, 6), tokens=2048),
        Phase(20, {"language_modelling": 1.0, "needles": 3.0}, lengths=(64,), segments=(4, 32), backprop_segments=2),
    ),
    seed=7,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"tasks": {}},
        {"tasks": {"needles": 0.0}},
        {"lengths": ()},
        {"lengths": (1, 64)},
        {"segments": (1, 3)},
        {"segments": (4, 3)},
    ],
)
def test_a_phase_that_cannot_be_trained_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Phase(**{"steps": 1, "tasks": {"needles": 1.0}, **changes})


@given(st.integers(0, 10_000), st.integers(16, 4096), st.integers(1, 8))
def test_a_draw_keeps_to_its_phase(seed: int, tokens: int, full: int) -> None:
    phase = Phase(
        1, {"a": 1.0, "b": 2.0, "never": 0.0}, lengths=(16, 64), segments=(2, 9), tokens=tokens, backprop_segments=full
    )
    task, shape = phase.draw(np.random.default_rng(seed))
    assert (task, shape) == phase.draw(np.random.default_rng(seed))
    assert task in ("a", "b") and shape.length in (16, 64) and 2 <= shape.segments <= 9
    assert shape.batch >= 1 and shape.backprop_segments == min(full, shape.segments)
    assert shape.batch == 1 or shape.batch * shape.segments * shape.length <= tokens
    # A step's tokens are exceeded only by the fewest segments that a roll-out can have.
    assert shape.segments == 2 or shape.segments * shape.length <= tokens


def test_a_plan_with_forms_draws_few_shapes_and_every_length() -> None:
    phase = dataclasses.replace(PLAN.phases[0], lengths=(64, 128, 256), shape_buckets=3)
    drawn = {phase.draw(np.random.default_rng(seed))[1] for seed in range(60)}
    assert {plan.bucket for plan in drawn} == {0, 1, 2} and len(drawn) == 3
    assert {plan.length for plan in drawn} == {64, 128, 256}


def test_tasks_are_drawn_by_their_weights() -> None:
    rng = np.random.default_rng(0)
    names = [PLAN.phases[1].draw(rng)[0] for _ in range(2000)]
    assert 0.7 < names.count("needles") / len(names) < 0.8


def test_every_step_belongs_to_its_phase() -> None:
    assert PLAN.steps == 50
    assert [PLAN.phase_at(step)[0] for step in (0, 29, 30, 49)] == [0, 0, 1, 1]
    assert PLAN.phase_at(30)[1] is PLAN.phases[1]
    with pytest.raises(ValueError):
        PLAN.phase_at(50)


def test_the_rate_rises_then_falls_to_its_last_share() -> None:
    shares = [PLAN.lr_ratio(step) for step in range(PLAN.steps)]
    assert shares[0] == pytest.approx(1 / 20) and shares[19] == shares[20] == 1
    assert all(a < b for a, b in itertools.pairwise(shares[:20]))
    assert all(a > b for a, b in itertools.pairwise(shares[20:]))
    assert PLAN.min_lr_ratio < shares[-1] < PLAN.min_lr_ratio + 0.05
    assert dataclasses.replace(PLAN, warmup=0).lr_ratio(0) == 1


def test_a_plan_comes_back_from_its_dictionary_json_and_toml() -> None:
    values = PLAN.to_dict()
    for back in (values, json.loads(json.dumps(values)), tomllib.loads(tomli_w.dumps(values))):
        assert TrainingPlan.from_dict(back) == PLAN
        assert TrainingPlan.from_dict(back).digest() == PLAN.digest()


def test_the_digest_changes_with_every_field() -> None:
    others: dict[str, Any] = {
        "phases": PLAN.phases[:1],
        "lr": 2e-3,
        "gate_lr": 1e-2,
        "warmup": 10,
        "min_lr_ratio": 0.2,
        "clip": 2.0,
        "seed": 8,
    }
    assert set(others) == {field.name for field in dataclasses.fields(TrainingPlan)}
    digests = {dataclasses.replace(PLAN, **{name: value}).digest() for name, value in others.items()}
    assert len(digests | {PLAN.digest()}) == len(others) + 1


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"phases": [{"steps": 1}]},
        {"phases": [{"steps": 1, "tasks": {"needles": 1.0}, "colour": 3}]},
        {"phases": [{"steps": 1, "tasks": {"needles": 1.0}}], "speed": 3},
        {"phases": [{"steps": 0, "tasks": {"needles": 1.0}}]},
        {"phases": 3},
        {"phases": [{"steps": 1, "tasks": {"needles": 1.0}, "lengths": 64}]},
    ],
)
def test_plans_with_missing_unknown_or_wrong_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TrainingPlan.from_dict(values)


def test_a_plan_goes_without_tasks_unless_a_phase_would_lose_all_of_its_own() -> None:
    kept = PLAN.without(frozenset({"needles", "facts"}))
    assert [phase.tasks for phase in kept.phases] == [{"language_modelling": 1.0}] * 2 and kept.steps == PLAN.steps
    assert PLAN.without(frozenset({"language_modelling"})) == PLAN == PLAN.without(frozenset())


@pytest.mark.parametrize(
    "file",
    [file for file in sorted(HERE.glob("*/*.toml")) if read(file.parent, file.name).training],
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_every_plan_that_ships_can_be_run(file: Path) -> None:
    recipe = read(file.parent, file.name)
    plan = TrainingPlan.from_dict(recipe.training)
    assert plan.steps > 0
    assert {name for phase in plan.phases for name in phase.tasks} <= set(TASKS)
    for phase in plan.phases:
        if "context_distillation" in phase.tasks:
            assert max(phase.most_segments(length) * length for length in phase.lengths) <= BASE_CONTEXT
    # One adapter goes through all stages; how an engine reads with it may change, and n-grams and gated states came to it.
    shipped = read(file.parent)
    came = ("ngrams", "key_state_layers", "value_state_layers")
    same = {name: getattr(shipped.config, name) for name in ("reread_first", *came)}
    # A model whose memory is still to be trained has none to go on with.
    if shipped.memory:
        assert dataclasses.replace(recipe.config, **same) == shipped.config
        for name in came:
            assert getattr(recipe.config, name) in ((), getattr(shipped.config, name))
    assert recipe.base == shipped.base
