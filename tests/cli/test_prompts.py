"""`infini prompts`: the instructions to the model, and versions of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import platformdirs
import pytest
from cli_helpers import STORY, Infini, assert_error
from infini_attention.model import prompts

NAMES = ["ask", "ask-passages", "summarize"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where one's own prompts are looked for."""
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path / "own")
    return tmp_path / "own" / "prompts"


def test_copy_edit_and_go_back(infini: Infini, own: Path) -> None:
    path = own / "ask.txt"
    listed = infini("prompts").out
    assert infini("prompts", "list").out == listed
    lines = [line.split("  ") for line in listed.splitlines()]
    assert [[part.strip() for part in line if part] for line in lines] == [
        [name, "not overridden", str(own / f"{name}.txt")] for name in NAMES
    ]
    shipped = infini("prompts", "show", "ask").out
    assert "{question}" in shipped
    outcome = infini("prompts", "copy", "ask")
    assert (outcome.code, outcome.out) == (0, f"{path}\n") and "{question}" in outcome.err
    assert path.read_text() == prompts.default("ask")
    path.write_text("Q: {question}")
    assert infini("prompts", "show", "ask").out == "Q: {question}\n"
    assert infini("prompts").out == listed.replace("not overridden", "your own", 1)
    value = json.loads(infini("prompts", "show", "ask", "--format", "json").out)
    assert (value["own"], value["placeholders"], value["text"]) == (True, ["question"], "Q: {question}")
    # What somebody has written is never written over.
    assert_error(infini("prompts", "copy", "ask"), 1, str(path), "there already")
    assert path.read_text() == "Q: {question}"
    path.unlink()
    assert infini("prompts", "show", "ask").out == shipped


def test_a_copied_prompt_gives_the_same_answer(infini: Infini, own: Path) -> None:
    ask = ("ask", "Who?", "--max-tokens", "4")
    before = infini(*ask, stdin=STORY.encode()).out
    assert infini("prompts", "copy", "ask").code == 0
    assert infini(*ask, stdin=STORY.encode()).out == before


@pytest.mark.parametrize("name", ["frob", "../ask", "ask.txt"])
def test_names_that_are_not_prompts(infini: Infini, own: Path, name: str) -> None:
    for command in ("show", "copy"):
        assert_error(infini("prompts", command, name), 2, "is not a prompt", ", ".join(NAMES))


def test_every_prompt_is_filled_by_what_it_names() -> None:
    assert {name: prompts.placeholders(name) for name in prompts.names()} == {
        "ask": ["question"],
        "ask-passages": ["text", "question"],
        "summarize": ["words"],
    }


def test_a_place_that_cannot_be_written(infini: Infini, own: Path) -> None:
    own.parent.write_text("a file where the folder should be")
    assert_error(infini("prompts", "copy", "ask"), 1, "cannot be made")
