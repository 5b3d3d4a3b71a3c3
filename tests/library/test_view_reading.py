"""A reader's views: what is shown tells the answers, questions of other texts are refused, and `ask` puts the same tokens."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infini_attention.data.stories import Question, Story
from infini_attention.model.recipe import RECIPE, WIDE, find, read
from infini_attention.qa.evidence import REFUSAL
from infini_attention.qa.passages_turn import passages_turn
from infini_attention.train.segments import IGNORED
from infini_attention.train.tasks import BatchShape
from infini_attention.train.view_reading import ViewReading
from letters import Letters

from benchmarks.novels import split

SHAPE = BatchShape(2, 2, 8, 2)
TRADES = ("baker", "miller", "smith", "cooper", "weaver", "tanner", "fletcher", "mason", "glazier", "chandler")


def letters() -> Any:
    loaded: Any = Letters()
    loaded.recipe = dataclasses.replace(find("qwen2.5-coder-0.5b"), answers=dataclasses.replace(WIDE, passage_words=8))
    return loaded


def story(town: str, *, evidence: bool) -> Story:
    """A line on each trade, and a question about each."""
    lines = [
        f"{trade.title()} {number} lived: {trade}'s cat {number}-{trade} called {town}{number}."
        for number, trade in enumerate(TRADES)
    ]
    questions = [
        Question(f"What was the cat of the {trade} called?", (f"{town}{number}",), lines[number] if evidence else None)
        for number, trade in enumerate(TRADES)
    ]
    return Story("\n\n".join(lines), tuple(questions))


def text_of(ids: Any) -> str:
    return "".join(chr(one) for one in ids.tolist() if one > 0)


@pytest.mark.parametrize("evidence", [True, False])
def test_every_answer_stands_in_view_and_foreign_questions_are_refused(evidence: bool) -> None:
    towns = ("Arn", "Bree", "Calder")
    task = ViewReading(letters(), [story(town, evidence=evidence) for town in towns])
    sizes, refused = set(), 0
    for seed in range(12):
        parts = task.sample(SHAPE, np.random.default_rng(seed))
        assert len(parts) == 2 * SHAPE.batch
        for view, asked in zip(parts[::2], parts[1::2], strict=True):
            shown = text_of(view.ids[0])
            sizes.add(shown.count("lived"))
            (town,) = [town for town in towns if f"called {town}" in shown]
            assert asked.labels is not None
            for row, labels in zip(asked.ids, asked.labels, strict=True):
                question, answer = text_of(row), text_of(labels[labels != IGNORED])
                if REFUSAL in answer:
                    refused += 1
                    continue
                assert town in answer and answer.strip() in shown
                assert question.partition("cat of the ")[2].split()[0] in shown
    assert sizes == {2, 3, 4} and refused


def test_the_turn_is_what_a_person_reads_cut_behind_the_passages() -> None:
    loaded = letters()
    before, after = passages_turn(loaded, "Arn is a town.", "Where?")
    shown, asked = "".join(map(chr, before)), "".join(map(chr, after))
    assert shown.endswith("Arn is a town.") and "Where?" in asked and "Where?" not in shown
    assert passages_turn(loaded, "Arn is a town.", "Who?")[0] == before


def test_a_plan_beside_a_recipe_is_for_its_base(tmp_path: Path) -> None:
    shipped = find("qwen2.5-coder-0.5b")
    assert shipped.folder is not None
    plan = read(shipped.folder, "reader.toml")
    assert (plan.name, plan.base) == (shipped.name, shipped.base) and plan.training["phases"]
    (tmp_path / RECIPE).write_text('name = "other"\n[base]\nsource = "hub"\nname = "o/other"\n')
    (tmp_path / "plan.toml").write_text('name = "own"\n[base]\nsource = "hub"\nname = "o/own"\n')
    assert read(tmp_path, "plan.toml").base.name == "o/own"


def test_no_book_is_for_training_and_for_development(tmp_path: Path) -> None:
    names = [f"book{number:02}" for number in range(26)]
    lines = {
        "books": [{"file": name, "text": f"Text of {name}."} for name in [*names, "unasked"]],
        "questions": [{"book": name, "question": "Q?", "answer1": "a", "answer2": "b"} for name in names],
        "summaries": [{"book": name, "summary": f"Plot of {name}."} for name in names[:1]],
    }
    for file, values in lines.items():
        (tmp_path / file).write_bytes(gzip.compress("\n".join(map(json.dumps, values)).encode()))
    parts = split(tmp_path / "books", tmp_path / "questions")
    train, dev = ([one["book"] for one in parts[name]] for name in ("train", "dev"))
    assert sorted(train + dev) == names and len(dev) == 6 and not set(train) & set(dev)
    assert parts["dev"][0]["questions"] == [{"question": "Q?", "answers": ["a", "b"]}]
    told = split(tmp_path / "books", tmp_path / "questions", tmp_path / "summaries")["dev"]
    assert [one.get("summaries") for one in told] == [["Plot of book00."], *[None] * 5]
