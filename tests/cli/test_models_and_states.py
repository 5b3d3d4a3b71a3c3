from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli_helpers import STORY, Infini, assert_error, put_weights
from infini_attention.model.recipe import find


def test_models_list_and_show(infini: Infini, model: str) -> None:
    assert "smollm2-135m" in infini("models", "list").out
    listed = json.loads(infini("models", "list", "--format", "json").out)
    assert listed["schema"] == "infini.models/1"
    shipped = next(entry for entry in listed["models"] if entry["name"] == "smollm2-135m")
    # The cache of these tests is empty.
    assert (shipped["licence"], shipped["weights"]) == ("Apache-2.0", False)
    text = infini("models", "show", "smollm2-135m").out
    assert "sha256: b179c9523d0e" in text and "segment_length: 1024" in text and "inf" in text
    shown = json.loads(infini("models", "show", "--format", "json").out)
    assert (shown["name"], shown["adapter"], shown["config"]["segment_length"]) == ("tiny", None, 32)
    assert shown["training"]["phases"][0]["steps"] == 20
    assert [shown[part] for part in ("reranker", "reader")] == [None] * 2
    shown = json.loads(infini("models", "show", "smollm2-135m", "--format", "json").out)
    assert all(Path(shown[part]).is_file() for part in ("adapter", "reranker", "reader"))


def test_how_far_heads_use_memory_is_drawn(infini: Infini, tmp_path: Path) -> None:
    book, short, plot = tmp_path / "book.txt", tmp_path / "short.txt", tmp_path / "heads.png"
    book.write_text(STORY)
    short.write_text("Too short.")
    for arguments in ((), ("--text", book)):
        outcome = infini("models", "show", "--plot", plot, *arguments)
        assert outcome.code == 0, outcome.err
        assert plot.read_bytes().startswith(b"\x89PNG") and "segment_length: 32" in outcome.out
        plot.unlink()
    assert_error(infini("models", "show", "--plot", plot, "--text", short), 3, "segment of 32")
    assert_error(infini("models", "show", "--text", book), 2, "--plot")
    assert_error(infini("models", "show", "--plot", tmp_path / "heads.txt"), 2, "image")


def test_models_pull_of_weights_that_are_here(infini: Infini, base_folder: Path) -> None:
    outcome = infini("models", "pull")
    assert (outcome.code, outcome.out) == (0, f"{base_folder}\n")


def test_models_verify_reads_every_byte(infini: Infini, tmp_path: Path) -> None:
    name = "qwen2.5-coder-0.5b"
    assert_error(infini("models", "verify", name), 4, "not here", "infini models pull")
    folder = put_weights(find(name).base)
    assert str(folder) in infini("models", "verify", name).out
    assert json.loads(infini("models", "verify", name, "--format", "json").out)["files"] == 1
    file = folder / "model.safetensors"
    stamp = file.stat().st_mtime_ns
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(stamp, stamp))
    assert_error(infini("models", "verify", name), 4, "model.safetensors", "infini models pull")
    # Of what was not fetched, and of what an earlier release fetched, nothing was written down.
    assert_error(infini("models", "verify"), 4, "your own")
    (folder / "digests.json").unlink()
    assert_error(infini("models", "verify", name), 4, "no digests")


def test_changed_weights_are_noticed_at_the_start(infini: Infini, tmp_path: Path) -> None:
    name, book = "qwen2.5-coder-0.5b", tmp_path / "book.txt"
    book.write_text(STORY)
    (put_weights(find(name).base) / "model.safetensors").write_bytes(b"other bytes")
    assert_error(infini("ask", "Who?", "-f", book, "--model", name), 4, "model.safetensors", "infini models pull")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_state_show_and_verify(infini: Infini, tmp_path: Path, model: str, suffix: str) -> None:
    (tmp_path / "book.txt").write_text(STORY)
    state = tmp_path / f"state{suffix}"
    assert infini("read", tmp_path / "book.txt", "-o", state).code == 0
    shown = json.loads(infini("state", "show", state, "--format", "json").out)
    assert shown["schema"] == "infini.state/1"
    assert shown["origin"]["model"] == model
    assert shown["sources"][0]["name"] == "book.txt"
    assert shown["bytes"] == state.stat().st_size
    text = infini("state", "show", state, "-v").out
    assert f"{shown['tokens']:,} tokens" in text and shown["sources"][0]["sha256"] in text
    assert "unaltered" in infini("state", "verify", state).out
    verified = json.loads(infini("state", "verify", state, "--format", "json").out)
    assert (verified["verified"], verified["digest"]) == (True, shown["digest"])
    # By content, not by name.
    moved = tmp_path / "state.bin"
    moved.write_bytes(state.read_bytes())
    assert infini("state", "verify", moved).code == 0


@pytest.mark.parametrize("group", ["models", "state"])
def test_group_alone_shows_its_help(infini: Infini, group: str) -> None:
    outcome = infini(group)
    assert (outcome.code, outcome.out) == (2, "")
    assert "show" in outcome.err
    assert_error(infini(group, "frob"), 2, "frob")
