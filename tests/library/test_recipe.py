"""Recipes: what is written is read back, and training one part of a model keeps all the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from infini_attention.memory.config import InfiniConfig
from infini_attention.model.recipe import RECIPE, Recipe, find, names, read
from infini_attention.model.spec import BaseSpec
from infini_attention.train.adaptation import write_recipe


def test_every_field_of_a_recipe_survives_a_round_trip(tmp_path: Path) -> None:
    config = InfiniConfig(segment_length=640, rank=4, layers=(1, 3))
    recipe = Recipe(
        "tiny",
        tmp_path,
        BaseSpec("directory", "/base", "CC0-1.0"),
        config,
        {"lr": 0.5, "phases": [{"steps": 3, "tasks": {"facts": 1.0}}]},
        {"passkey": {"mean": 0.25}},
        0.75,
    )
    write_recipe(recipe, config, tmp_path / RECIPE)
    again = read(tmp_path)
    # `formerly` tells of weights that were renamed; new weights have no former names.
    for field in dataclasses.fields(Recipe):
        assert getattr(again, field.name) == getattr(recipe, field.name), field.name


def test_shipped_recipes_survive_a_round_trip(tmp_path: Path) -> None:
    for name in names():
        recipe = find(name)
        write_recipe(recipe, recipe.config if recipe.memory else None, tmp_path / name / RECIPE)
        again = read(tmp_path / name)
        for field in {field.name for field in dataclasses.fields(Recipe)} - {"folder", "formerly"}:
            assert getattr(again, field) == getattr(recipe, field), (name, field)
