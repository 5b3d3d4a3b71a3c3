"""The benchmarks' rows are commands that exist, on files that exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from infini_attention.data.corpus import digest
from infini_attention.data.stories import load_stories
from infini_attention.memory.state import fingerprint
from infini_attention.model.recipe import find, names

from benchmarks.card import BEGIN, END, written
from benchmarks.refusal import threshold_at
from benchmarks.table import rows, stories, with_another


def test_the_sample_is_a_story_with_questions_and_a_summary(tmp_path: Path) -> None:
    file = stories(tmp_path)
    assert len(file.read_text().splitlines()) == 1 and json.loads(file.read_text())["text"].startswith("# Four Pounds")
    (story,) = load_stories(tmp_path)
    assert len(story.questions) == 30 and all(asked.answers for asked in story.questions)
    assert all((asked.evidence or "?") in story.text and len(asked.evidence or "") > 1000 for asked in story.questions)
    assert 100 < len(story.summaries[0].split()) < 300
    (by_violet,) = [asked.answers for asked in story.questions if "colour of ink" in asked.question]
    assert by_violet == ("violet", "violet ink")


def test_texts_can_be_asked_what_the_other_one_tells(tmp_path: Path) -> None:
    book, readme = load_stories(with_another(stories(tmp_path)))
    assert book.text.startswith("# Four Pounds") and readme.text.startswith("# infini")
    assert all(any(answer in readme.text for answer in asked.answers) for asked in readme.questions)


def test_a_threshold_refuses_no_more_than_it_may() -> None:
    supports = [0.1 * n for n in range(1, 21)]
    for most in (0.0, 0.05, 0.2, 1.0):
        threshold = threshold_at(supports[::-1], most)
        assert sum(each < threshold for each in supports) == min(round(most * 20), 19)


def test_every_task_of_eval_has_a_row(tmp_path: Path) -> None:
    from infini_cli.commands.evaluation import app

    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    # These read files of the tests' own, which are not here.
    assert {row[0] for row in rows(tmp_path, tmp_path)} == names - {"ruler", "babilong"}


def test_a_card_tells_the_scores_that_lie_beside_it() -> None:
    report = {
        "task": "passkey",
        "system": "memory",
        "seed": 9,
        "cells": [{"length": 4096, "depth": 50.0, "trials": 20, "score": 0.95, "low": 0.76, "high": 0.99}],
        "summary": {"mean": 0.95, "effective_length": None},
    }
    card = written(f"# Card\n{BEGIN}\nold\n{END}\nmore\n", {"keys": report})
    assert card.startswith("# Card\n") and card.endswith(f"{END}\nmore\n") and "old" not in card
    assert "`keys`: passkey, system memory, seed 9" in card
    assert "| 4,096 | 50.000 | 20 | 0.950 | 0.760 to 0.990 |" in card
    assert "mean 0.950; effective length none" in card
    assert written(card, {"keys": report}) == card
    with pytest.raises(ValueError, match="has no <!--"):
        written("# Card", {})


def test_the_cards_of_the_recipes_are_up_to_date() -> None:
    for name in names():
        recipe = find(name)
        assert recipe.folder is not None
        if not recipe.reports:
            continue
        card = (recipe.folder / "README.md").read_text(encoding="utf-8")
        assert written(card, recipe.reports) == card
        # None of them is of another adapter, another reranker or another reader.
        reranker, reader = (
            None if file is None else digest([file]) for file in (recipe.reranker_file, recipe.reader_file)
        )
        for report in recipe.reports.values():
            if report.get("view") == "look-back" or report["task"] == "refusal":
                assert report.get("reranker_sha256") == reranker
            if report.get("view", "none") != "none":
                assert report.get("reader_sha256") == reader
        # Without memory an adapter has no part in anything.
        remembering = [report for report in recipe.reports.values() if report.get("system", "memory") == "memory"]
        fingerprints = {report["adapter"] for report in remembering}
        own = fingerprint(recipe.adapter() or {})
        assert fingerprints <= {own, *(former.adapter for former in recipe.formerly if former.now == own)}
