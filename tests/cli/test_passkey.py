from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import STORY, Infini, assert_error
from infini_attention.errors import UsageFailure

from infini_cli.commands.passkey import parse_depths, parse_lengths

SMALL = ("passkey-test", "--length", "120,160", "--depth", "0,100", "--trials", "2", "--seed", "3")


def test_lengths_and_depths() -> None:
    assert parse_lengths("4k, 32K,1m,2000,0.5k,4096") == [4096, 32768, 1048576, 2000, 512]
    assert parse_depths("0,50%, end,12.5,start") == [0, 50, 100, 12.5]
    for wrong in ("", "4g", "-1", "0", "k", "1e9", "4k,"):
        with pytest.raises(UsageFailure):
            parse_lengths(wrong)
    for wrong in ("", "101", "-1", "top", "nan"):
        with pytest.raises(UsageFailure):
            parse_depths(wrong)


def test_table_json_and_plot(infini: Infini, tmp_path: Path) -> None:
    outcome = infini(*SMALL, "--plot", tmp_path / "grid.png")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0] == "exact match in percent, trials a cell: 2"
    assert [line.split()[0] for line in lines if "%" in line] == ["0%", "100%"]
    assert any("120" in line and "160" in line for line in lines)
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
    value = json.loads(infini("passkey", *SMALL[1:], "--format", "json", "-v").out)
    assert value["schema"] == "infini.passkey/1"
    assert [(cell["length"], cell["depth"], cell["trials"]) for cell in value["cells"]] == [
        (120, 0, 2),
        (120, 100, 2),
        (160, 0, 2),
        (160, 100, 2),
    ]
    assert all(0 <= cell["exact"] <= 1 for cell in value["cells"])
    assert (value["memory"], value["haystack"], value["seed"]) == (True, "repeat", 3)


def test_own_hay_own_state_and_no_memory(infini: Infini, tmp_path: Path) -> None:
    book, state = tmp_path / "book.txt", tmp_path / "s.pt"
    book.write_text(STORY)
    assert infini("read", book, "-o", state).code == 0
    value = json.loads(infini(*SMALL, "--haystack", book, "--memory", state, "--format", "jsonl").out)
    assert value["haystack"] == "book.txt"
    assert value["tokens_before"] > 0
    assert not json.loads(infini(*SMALL, "--memory-off", "--format", "json").out)["memory"]
    assert_error(infini(*SMALL, "--memory-off", "--memory", state), 2)
    assert_error(infini(*SMALL, "--haystack", tmp_path / "no.txt"), 3)
    assert_error(infini("passkey-test", "--length", "64k", "--haystack", book), 1, "haystack", "fewer")
    assert_error(infini("passkey-test", "--length", "5"), 1, "no room")
    assert_error(infini(*SMALL, "--trials", "0"), 2)


def test_plot_without_matplotlib(infini: Infini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return find(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert_error(infini(*SMALL, "--plot", tmp_path / "grid.png"), 1, "matplotlib", "pip install 'infini[plot]'")
    assert_error(infini(*SMALL, "--plot", tmp_path / "grid.txt"), 2, "image")
