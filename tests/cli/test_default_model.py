"""The main job on the real default model: a book read, saved, asked and summarised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import ROOT, of_a_process
from infini_attention.model.recipe import DEFAULT, find
from infini_attention.model.weights import local_path

BOOK = ROOT / "samples" / "four-pounds-of-lead.pdf"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(local_path(find(DEFAULT).base) is None, reason="needs the default model: infini models pull"),
]


def _infini(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "infini_cli", *map(str, arguments)],
        input=stdin,
        env=of_a_process(),
        capture_output=True,
        check=False,
    )


def _reads() -> bool:
    """Whether the model that answers for it is here."""
    name = find(DEFAULT).answers.read_by
    return name is not None and local_path(find(name).base) is not None


def test_a_book_is_read_saved_and_asked(tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    read = _infini("read", BOOK, "--pages", "6-10", "-o", state)
    assert read.returncode == 0, read.stderr
    assert read.stdout == b""
    assert b"5 of 38 pages" in read.stderr
    shown = json.loads(_infini("state", "show", state, "--format", "json").stdout)
    # More than a segment: the memory has been written.
    assert shown["tokens"] > find(DEFAULT).config.segment_length
    before = state.read_bytes()
    for reader in (["--reader", "own"], [])[: 1 + _reads()]:
        asked = _infini("ask", "--memory", state, "In which street did Walter Quill keep his grocer's shop?", *reader)
        assert asked.returncode == 0, asked.stderr
        assert b"Fish Street" in asked.stdout and b"p. 9, 3. Substitution" in asked.stdout
    assert state.read_bytes() == before
