"""A model without a memory: it answers and summarises from text, and nothing is read into it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_helpers import STORY, Infini, assert_error, write_recipe
from infini_attention import Engine


@pytest.fixture
def plain(base_folder: Path, tmp_path: Path) -> Path:
    """A recipe without a memory path, whose segments have room for a question and passages."""
    folder = write_recipe(tmp_path / "plain", base_folder, name="plain")
    text = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text[: text.index("[config]")])
    return folder


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of segments that were closed, each a write into memory."""
    closed: list[int] = []
    write = Engine._close

    def counted(self: Engine, ids: object) -> None:
        closed.append(1)
        write(self, ids)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "_close", counted)
    return closed


def test_it_answers_and_summarises_from_text(infini: Infini, plain: Path, book: Path, unread: list[int]) -> None:
    asked = infini("ask", "What did Marta find?", "-f", book, "--model", plain, "--max-tokens", "4", "--format", "json")
    assert asked.code == 0, asked.err
    value = json.loads(asked.out)
    assert value["looked_back"] and (value["sources"] or value["refused"])
    told = infini("summarize", book, "--model", plain, "--length", "20", "--format", "json")
    assert told.code == 0, told.err
    summary = json.loads(told.out)
    assert summary["summary"] and (summary["tokens"], summary["segments"]) == (0, 0)
    assert "untrained" not in asked.err + told.err
    assert not unread


def test_where_no_passage_fits_into_view_nothing_is_made_up(
    infini: Infini, plain: Path, book: Path, unread: list[int]
) -> None:
    """The answer's own room takes all that a segment has: there is nothing to answer from."""
    outcome = infini("ask", "Who?", "-f", book, "--model", plain, "--max-tokens", "2000", "--format", "json")
    assert outcome.code == 0, outcome.err
    value = json.loads(outcome.out)
    assert value["refused"] and not value["sources"] and value["answer"]
    assert not unread


def test_what_needs_a_memory_says_so(infini: Infini, plain: Path, book: Path, tmp_path: Path) -> None:
    commands: list[tuple[object, ...]] = [
        ("read", book, "-o", tmp_path / "state.pt"),
        ("read", book, "-o", f"{tmp_path / 'states'}/"),
        ("read", book, "-o", f"{tmp_path / 'states'}/", "--jobs", "2"),
        ("ask", "Who?", "-f", book, "--memory-only"),
        ("passkey-test", "--length", "100"),
        ("eval", "passkey", "--length", "100", "--depth", "0", "--limit", "1"),
        ("eval", "ppl", "--data", book, "--length", "64", "--limit", "1"),
        ("models", "show", "--plot", tmp_path / "heads.png"),
    ]
    for command in commands:
        assert_error(infini(*command, "--model", plain), 4, "plain", "no memory")
    assert not (tmp_path / "states").exists() and not (tmp_path / "state.pt").exists()


def test_of_a_state_it_takes_the_text(infini: Infini, plain: Path, book: Path, tmp_path: Path) -> None:
    state, bare = tmp_path / "state.pt", tmp_path / "bare.pt"
    assert infini("read", book, "-o", state).code == infini("read", book, "-o", bare, "--no-text").code == 0
    for command in (("ask", "What did Marta find?", "--max-tokens", "4"), ("summarize", "--length", "10")):
        outcome = infini(*command, "--memory", state, "--model", plain)
        assert outcome.code == 0 and outcome.out, outcome.err
        assert_error(infini(*command, "--memory", bare, "--model", plain), 4, "no memory")
    before = state.read_bytes()
    for needing in (("ask", "Who?", "--memory-only"), ("ask", "Who?", "--update"), ("passkey-test",)):
        assert_error(infini(*needing, "--memory", state, "--model", plain), 4, "no memory")
    assert_error(infini("read", book, "--memory", state, "-o", state, "--model", plain), 4, "no memory")
    assert state.read_bytes() == before


def test_what_compares_with_no_memory_takes_it(infini: Infini, plain: Path) -> None:
    evaluated = infini("passkey-test", "--length", "120", "--trials", "1", "--system", "local", "--model", plain)
    assert evaluated.code == 0, evaluated.err


def test_models_tell_which_have_a_memory(infini: Infini, plain: Path) -> None:
    listed = {
        one["name"]: one["memory"] for one in json.loads(infini("models", "list", "--format", "json").out)["models"]
    }
    assert listed == {"smollm2-135m": True, "qwen2.5-coder-0.5b": False, "qwen2.5-coder-1.5b": False}
    lines = {line.split()[0]: line for line in infini("models", "list").out.splitlines()}
    assert "no memory" in lines["qwen2.5-coder-0.5b"] and "no memory" not in lines["smollm2-135m"]
    assert json.loads(infini("models", "show", plain, "--format", "json").out)["config"] is None


def test_a_memory_that_was_trained_for_it_is_one(infini: Infini, base_folder: Path, book: Path, tmp_path: Path) -> None:
    """`adapt` puts a memory into plain base weights."""
    plan = write_recipe(tmp_path / "plan", base_folder, name="trained")
    data = tmp_path / "texts"
    data.mkdir()
    (data / "long.txt").write_text(STORY * 20)
    out = tmp_path / "adapted"
    command = ("adapt", "--data", data, "-o", out, "--steps", "1")
    outcome = infini(*command, "--model", base_folder, "--recipe", plan)
    assert outcome.code == 0, outcome.err
    assert infini("read", book, "-o", tmp_path / "state.pt", "--model", out).code == 0
