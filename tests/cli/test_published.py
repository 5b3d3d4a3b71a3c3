"""RULER's and BABILong's files, as those tests publish them: read from small ones of the same form, and scored alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from infini_attention import load_model
from infini_attention.errors import InfiniError
from infini_attention.evaluate.measuring import measure
from infini_attention.evaluate.published import BabilongTask, RulerTask, read
from infini_attention.evaluate.registry import TASKS
from infini_attention.evaluate.task import Bench

RULER = {
    "index": 0,
    "input": "Some special magic numbers are hidden within the following text.\nThe grass is green. One of the special "
    "magic numbers for calm-owl is: 123.\nWhat is the special magic number for calm-owl mentioned in the provided text?",
    "outputs": ["123", "Abc"],
    "length": 64,
    "answer_prefix": " The special magic number for calm-owl mentioned in the provided text is",
}
BABILONG = {"input": "Mary went to the kitchen. It rained.", "question": "Where is Mary? ", "target": "kitchen"}


def test_ruler_scores_the_share_of_strings_that_are_named_in_any_case(tmp_path: Path) -> None:
    task = RulerTask(tmp_path)
    for answer, score in ((" 123 and ABC.", 1), ("1234", 0.5), ("nothing", 0)):
        assert task.score(answer, RULER, task.known("niah_single_1/validation", [RULER])) == score
    # Its question tasks list ways to put the one answer.
    assert task.score("abc", RULER, task.known("qa_1/validation", [RULER])) == 1


def test_ruler_keeps_the_question_in_view(tmp_path: Path) -> None:
    text, question = RulerTask(tmp_path).split(RULER)
    assert text.endswith("is: 123.\n")
    assert question.startswith("What is the special") and question.endswith("provided text is")
    assert text + question == str(RULER["input"]) + str(RULER["answer_prefix"])


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (" The most recent location of Mary is kitchen. Then the office.", 1),
        ("KITCHEN", 1),
        ("kitchen or office", 0),
        ("office", 0),
        ("", 0),
        ("kitchen<example> office", 1),
    ],
)
def test_babilong_compares_labels_of_the_first_sentence(answer: str, score: float, tmp_path: Path) -> None:
    task = BabilongTask(tmp_path)
    assert task.score(answer, BABILONG, task.known("qa1/0k", [BABILONG])) == score


def test_babilong_leaves_out_what_the_question_names_and_takes_several_answers(tmp_path: Path) -> None:
    task = BabilongTask(tmp_path)
    asked = {"input": "x", "question": "What is the kitchen north of?", "target": "garden"}
    assert task.score("The kitchen is north of the garden", asked, task.known("qa4/1k", [asked])) == 1
    carried = {"input": "x", "question": "What is Daniel carrying?", "target": "apple,milk"}
    labels = task.known("qa8/0k", [carried, {**carried, "target": "nothing"}])
    assert labels == {"apple", "milk", "nothing"}
    assert [task.score(said, carried, labels) for said in ("milk and apple", "milk", "apple, milk, nothing")] == [
        1,
        0,
        0,
    ]


def test_files_of_both_forms_are_measured_each_by_itself(tmp_path: Path, model: str) -> None:
    bench = Bench(load_model(model, device="cpu"))
    (tmp_path / "qa1").mkdir()
    (tmp_path / "qa1" / "0k.json").write_text(json.dumps([BABILONG, BABILONG]))
    (tmp_path / "qa1" / "1k.jsonl").write_text(f"{json.dumps(BABILONG)}\n" * 3)
    report = measure(BabilongTask(tmp_path, 2), bench)
    assert [(cell["kind"], cell["trials"]) for cell in report.cells] == [("qa1/0k", 2), ("qa1/1k", 2)]
    assert report.value()["task"] == "babilong" and "texts_sha256" in report.about
    ruled = tmp_path / "validation.jsonl"
    ruled.write_text(json.dumps(RULER))
    report = measure(RulerTask(ruled), bench)
    assert [(cell["kind"], cell["trials"]) for cell in report.cells] == [("validation", 1)]


@pytest.mark.parametrize("content", ["", "[]", '{"input": "x"}', "no json", '"text"', '{"input": "x", "outputs": []}'])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "validation.jsonl"
    file.write_text(content)
    with pytest.raises(InfiniError) as caught:
        read(file, [file], ("input", "outputs"))
    assert "validation.jsonl" in caught.value.message and caught.value.hint
    with pytest.raises(InfiniError):
        read(tmp_path, [], ("input", "outputs"))


def test_every_task_of_the_registry_is_a_command_and_in_the_schema() -> None:
    from infini_cli import schemas
    from infini_cli.commands.evaluation import app

    commands = [one.callback.__name__ for one in app.registered_commands if one.callback is not None]
    assert commands == list(TASKS)
    assert schemas.read("infini.eval/1")["properties"]["task"]["enum"] == list(TASKS)
