"""States from strangers: the model that a state names is compared, and never opened."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import STORY, Infini, assert_error, write_recipe
from infini_attention import MemoryState
from infini_attention.text.kept import ATTACHMENT


def renamed(state: Path, model: str) -> None:
    """Says in the header that another model made it."""
    loaded = MemoryState.load(state)
    loaded.origin = dataclasses.replace(loaded.origin, model=model)
    loaded.save(state)


def trap(folder: Path) -> Path:
    """A recipe whose weights are a package to be built from a folder beside it."""
    (folder / "evil").mkdir(parents=True)
    (folder / "evil" / "setup.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    (folder / "recipe.toml").write_text(
        f"""name = "trap"
[base]
source = "wheel"
name = "{folder / "evil"}"
version = "1.0"
file = "model.gguf"
sha256 = "{"0" * 64}"
[config]
segment_length = 32
rank = 4
"""
    )
    return folder


@pytest.mark.parametrize("name", ["./model", "{folder}/model", "somebody/model", "https://example.org/x.whl", "gone"])
@pytest.mark.parametrize("command", [("ask", "Who?"), ("passkey-test", "--length", "64")])
def test_the_model_that_a_state_names_is_not_opened(
    infini: Infini,
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    command: tuple[str, ...],
) -> None:
    folder = trap(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INFINI_MODEL")
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "run", lambda *call, **options: started.append(call))
    named = name.format(folder=tmp_path)
    renamed(state, named)
    assert_error(infini(*command, "--memory", state), 4, named, "--model")
    assert not started and not (folder / "ran").exists()


def test_a_setting_is_the_persons_word(infini: Infini, state: Path, tmp_path: Path, base_folder: Path) -> None:
    # The tiny model is the setting, whatever the state calls it.
    renamed(state, "./model")
    outcome = infini("ask", "Who?", "--memory", state, "--format", "json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["model"] != "./model"
    # Another one is not the state's, and the state does not bring its own.
    other = write_recipe(tmp_path / "other", base_folder, name="other", segment=16)
    assert_error(infini("ask", "Who?", "--memory", state, "--model", other), 5, "./model")


@pytest.mark.parametrize(
    "text", [b"no text", zlib.compress(b'{"version": 2, "sources": [{"name": "a", "blocks": [[1]]}]}')]
)
def test_all_commands_agree_on_what_a_state_is(infini: Infini, state: Path, tmp_path: Path, text: bytes) -> None:
    loaded = MemoryState.load(state)
    loaded.attachments[ATTACHMENT] = text
    loaded.save(state)
    book, new = tmp_path / "book.txt", tmp_path / "new.pt"
    for command in (
        ("state", "verify", state),
        ("state", "show", state),
        ("ask", "Who?", "--memory", state),
        ("ask", "Who?", "--memory", state, "--memory-only"),
        ("summarize", "--memory", state),
        ("read", book, "--memory", state, "-o", new),
    ):
        assert_error(infini(*command), 5, "text")
    assert not new.exists()


def test_a_name_that_is_no_utf_8_is_read_and_shown(infini: Infini, tmp_path: Path) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/b\xff\x1b[31m.txt")
    try:
        Path(name).write_text(STORY)
    except OSError:
        pytest.skip("this file system takes no such names")
    assert infini("read", name, "-o", tmp_path / "s.pt").code == 0
    shown = infini("state", "show", tmp_path / "s.pt")
    assert shown.code == 0 and "b\\xff" in shown.out and "\x1b" not in shown.out
