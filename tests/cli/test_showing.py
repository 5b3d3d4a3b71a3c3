"""`infini state show`: what was read, and how full each memory is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_helpers import OTHER, STORY, Infini, Terminal, assert_error
from infini_attention import MemoryState
from infini_attention.memory.occupancy import occupancy

from infini_cli import showing


class AsciiTerminal(Terminal):
    encoding = "ascii"


@pytest.fixture
def state(infini: Infini, tmp_path: Path) -> Path:
    """Of two documents; segments have 32 tokens."""
    (tmp_path / "book.txt").write_text(STORY)
    (tmp_path / "other.md").write_text(f"# Other\n\n{OTHER}")
    path = tmp_path / "state.pt"
    assert infini("read", tmp_path / "book.txt", tmp_path / "other.md", "-o", path).code == 0
    return path


def test_figures_are_those_of_the_state(infini: Infini, state: Path) -> None:
    value = json.loads(infini("state", "show", state, "--format", "json").out)
    saved = MemoryState.load(state)
    held = occupancy(saved)
    assert [layer["layer"] for layer in value["memories"]] == list(held.layers) == [0, 1]
    for row, layer in enumerate(value["memories"]):
        assert layer["norm"] == pytest.approx(held.norms[row].tolist(), abs=1e-6)
        assert layer["fullness"] == pytest.approx(held.fullness[row].tolist(), abs=1e-6)
    assert value["open_tokens"] == saved.tokens - 32 * saved.segments
    first, second = (source["segments"] for source in value["sources"])
    tokens = value["sources"][0]["tokens"]
    # The first document ends inside a segment, in which the second begins.
    assert tokens % 32 and first == [1, tokens // 32 + 1]
    assert second == [tokens // 32 + 1, saved.segments + (value["open_tokens"] > 0)]


def test_plain_lines_where_nobody_looks(infini: Infini, state: Path, tmp_path: Path) -> None:
    outcome = infini("state", "show", state)
    lines = outcome.out.splitlines()
    assert [line.partition(":")[0] for line in lines[:6]] == ["file", "model", "read", "source", "source", "memory"]
    assert "book.txt (text), " in lines[3] and "segments 1-" in lines[3]
    assert [line.partition(":")[0] for line in lines[-2:]] == ["layer 0", "layer 1"]
    value = json.loads(infini("state", "show", state, "--format", "json").out)
    norms = [norm for layer in value["memories"] for norm in layer["norm"]]
    layer = max(value["memories"], key=lambda one: max(one["norm"]))
    head = layer["norm"].index(max(norms))
    assert f"strongest: layer {layer['layer']} head {head} (norm {max(norms):.1f})" in outcome.out
    strengths = [float(word) for line in lines[-2:] for word in line.partition("strength ")[2].split(";")[0].split()]
    assert strengths == pytest.approx([norm / max(norms) for norm in norms], abs=1e-3)
    infini("state", "show", state, "-o", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == outcome.out


@pytest.mark.parametrize(("terminal", "eighths"), [(Terminal(), "▁▂▃▄▅▆▇█"), (AsciiTerminal(), ".:-=+*#@")])
def test_drawn_on_a_terminal(state: Path, terminal: Terminal, eighths: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    value = showing.facts(state)
    value["sources"][0]["name"] = "a very long name that has to be folded " * 2 + "\x1b[31mand is hostile.txt"
    showing.write(value, terminal, details=False)
    text = terminal.getvalue()
    if terminal.encoding == "ascii":
        text.encode("ascii")
    assert "\\x1b[31m" in text.replace("\n", "").replace(" ", "") and "\x1b[31m" not in text
    # Nothing of a long name is cut.
    assert "…" not in text and text.count("folded") == 2
    rows = [words for line in text.splitlines() if (words := line.replace("|", " ").split())[:1] in (["0"], ["1"])]
    maps = showing.maps(value)
    for number, (layer, *cells) in enumerate(rows):
        drawn = ["".join(eighths[min(7, int(8 * share))] for share in maps[name][number]) for name in showing.MAPS]
        assert (int(layer), cells) == (number, drawn)
    assert len(rows) == 2 and eighths[-1] in rows[0][1] + rows[1][1]


def test_images_of_memories(infini: Infini, state: Path, tmp_path: Path) -> None:
    plot = tmp_path / "memories.png"
    outcome = infini("state", "show", state, "--plot", plot)
    assert outcome.code == 0 and outcome.out.startswith("file: ")
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert_error(infini("state", "show", state, "--plot", tmp_path / "memories.txt"), 2, "image")


def test_before_a_segment_is_closed(infini: Infini, tmp_path: Path) -> None:
    state = tmp_path / "short.pt"
    assert infini("read", "-o", state, stdin=b"Short.").code == 0
    value = json.loads(infini("state", "show", state, "--format", "json").out)
    assert value["memories"] == [] and value["sources"][0]["segments"] == [1, 1]
    assert "memory: empty" in infini("state", "show", state).out
    assert_error(infini("state", "show", state, "--plot", tmp_path / "m.png"), 3, "no segment is closed")
