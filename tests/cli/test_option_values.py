"""What options cannot be given: every option of every command says so in two lines, before a model is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import Infini, assert_error

from benchmarks.torture.options import Place, faults


def test_every_option_of_every_command_refuses_nonsense(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "place")
    tried, wrong = faults(place, whole=False)
    assert not wrong, "\n".join(wrong)
    assert tried > 2000


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("read", "--batch", "broken.jsonl", "-o", "out/"), 3),
        (("read", "cyclic", "-o", "s.pt"), 3),
        (("summarize", "loop.txt"), 3),
        (("summarize", "x" * 300), 3),
        (("adapt", "--data", "cyclic", "-o", "trained"), 3),
        (("eval", "ppl", "--data", "y" * 300), 3),
        (("models", "show", "~nobody-of-that-name"), 4),
        (("models", "list", "-o", "loop.txt"), 1),
    ],
)
def test_what_lies_in_the_way(
    infini: Infini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int
) -> None:
    place = Place.make(tmp_path / "place")
    monkeypatch.chdir(place.folder)
    assert_error(infini(*arguments), code)
