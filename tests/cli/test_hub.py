"""Any hub id as a model: fetched whole or not at all from a server that stands for the hub."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_helpers import STORY, Infini, assert_error, of_a_process
from hub import COMMIT, Answer, Hub
from infini_attention.model.recipe import find
from infini_attention.model.weights import local_path

NAME = "somebody/tiny-model"


@pytest.fixture
def hub(base_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import close_session, constants

    # The client of an earlier test may have been made for another network.
    close_session()
    with Hub(NAME, base_folder) as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        yield served


def test_a_hub_id_answers(base_folder: Path, tmp_path: Path) -> None:
    """In a process of its own, with the variable that people set."""
    (tmp_path / "book.txt").write_text(STORY)
    with Hub(NAME, base_folder) as served:
        environment = of_a_process(
            HF_ENDPOINT=served.address,
            HF_HUB_OFFLINE="0",
            HF_HOME=str(tmp_path / "hf"),
            INFINI_CACHE=str(tmp_path / "cache"),
            INFINI_CONFIG=os.devnull,
        )
        command = [sys.executable, "-m", "infini_cli", "ask", "-f", str(tmp_path / "book.txt"), "Who?", "--model", NAME]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert NAME in done.stderr and "model hub" in done.stderr
    # It is not in a second cache as well.
    assert not [path for path in tmp_path.rglob("*.safetensors") if "cache/models" not in path.as_posix()]


def test_it_is_fetched_once_and_has_no_memory(infini: Infini, hub: Hub, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text(STORY)
    assert_error(infini("read", book, "-o", tmp_path / "s.pt", "--model", NAME), 4, NAME, "no memory")
    assert not hub.asked
    assert infini("models", "pull", NAME).code == 0
    asked = len(hub.asked)
    assert infini("ask", "Who?", "-f", book, "--model", NAME, "--max-tokens", "2").code == 0
    assert infini("models", "verify", NAME).code == 0
    assert len(hub.asked) == asked


def nonsense(path: str, right: Answer) -> Answer:
    return 200, {"Content-Type": "text/html"}, b"<html>Please log in to this network.</html>"


def broken_configuration(path: str, right: Answer) -> Answer:
    return (*right[:2], b'{"model_type": 7') if path.endswith("/config.json") else right


def another_kind_of_model(path: str, right: Answer) -> Answer:
    return (*right[:2], b'{"model_type": "toaster"}') if path.endswith("/config.json") else right


def broken_weights(path: str, right: Answer) -> Answer:
    return (*right[:2], b"\xff" * len(right[2])) if path.endswith(".safetensors") else right


def out_of_order(path: str, right: Answer) -> Answer:
    return 500, {}, b"Internal Server Error"


def cut(path: str, right: Answer) -> Answer:
    if not path.endswith(".safetensors"):
        return right
    status, headers, content = right
    return status, {**headers, "Content-Length": str(len(content))}, content[: len(content) // 2]


def no_weights(path: str, right: Answer) -> Answer:
    if path.endswith(".safetensors"):
        return 404, {"X-Error-Code": "EntryNotFound"}, b""
    # Another commit: what a commit holds does not change, and the client remembers it.
    listing = right[2].replace(b"model.safetensors", b"model.bin").replace(COMMIT.encode(), COMMIT[::-1].encode())
    return (*right[:2], listing) if "/api/" in path else right


@pytest.mark.parametrize(
    "altered", [nonsense, broken_configuration, another_kind_of_model, broken_weights, out_of_order, no_weights, cut]
)
def test_a_hub_that_misbehaves(
    infini: Infini, hub: Hub, monkeypatch: pytest.MonkeyPatch, altered: object, tmp_path: Path
) -> None:
    right = hub.altered
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.altered = altered  # type: ignore[assignment]
    assert_error(infini("models", "pull", NAME), 4)
    assert local_path(find(NAME).base) is None
    hub.altered = right
    outcome = infini("models", "pull", NAME)
    assert outcome.code == 0, outcome.err
    assert infini("models", "verify", NAME).code == 0


def test_a_name_that_the_hub_does_not_know(infini: Infini, hub: Hub, tmp_path: Path) -> None:
    assert_error(infini("models", "pull", "nobody/nothing"), 4, "nobody/nothing")
    assert not [path for path in (tmp_path / "cache" / "models").iterdir() if path.suffix != ".lock"]
