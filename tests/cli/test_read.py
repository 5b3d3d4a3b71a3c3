from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cli_helpers import OTHER, STORY, Infini, assert_error
from document_helpers import encrypt, make_pdf
from infini_attention import MemoryState
from infini_attention.reporting import Advance

from infini_cli import options
from infini_cli.output import Console

PAGES = [["The miller came to the river in the morning", f"and saw a boat with {n} lamps."] for n in range(6)]


def same(one: MemoryState, other: MemoryState) -> bool:
    return one.tensors.keys() == other.tensors.keys() and all(
        torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items()
    )


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "first.txt", tmp_path / "second.md"
    first.write_text(STORY)
    second.write_text(f"# Letters\n\n{OTHER}")
    return first, second


def test_a_folder_is_its_documents(infini: Infini, texts: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in texts:
        path.rename(folder / path.name)
    assert infini("read", folder, "-o", tmp_path / "s.pt").code == 0
    assert [source.name for source in MemoryState.load(tmp_path / "s.pt").sources] == ["first.txt", "second.md"]


def test_two_at_once_and_one_after_the_other_are_the_same(
    infini: Infini, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = texts
    together, one, both = tmp_path / "ab.pt", tmp_path / "a.safetensors", tmp_path / "b.pt"
    outcome = infini("read", first, second, "-o", together)
    assert (outcome.code, outcome.out) == (0, "")
    assert infini("read", first, "-o", one).code == 0
    assert infini("read", second, "--memory", one, "-o", both).code == 0
    whole, split = MemoryState.load(together), MemoryState.load(both)
    assert same(whole, split)
    assert whole.sources == split.sources
    assert [source.name for source in whole.sources] == ["first.txt", "second.md"]
    assert whole.tokens == sum(source.tokens for source in whole.sources)
    assert whole.tokens == 32 * whole.segments + len(whole.tensors["open_ids"])
    for name in ("first.txt", "second.md"):
        assert f"{name}: " in outcome.err
    assert oct(together.stat().st_mode & 0o777) == "0o600"


def test_says_pages_tokens_segments_and_pages_without_text(infini: Infini, tmp_path: Path) -> None:
    book = tmp_path / "book.pdf"
    book.write_bytes(make_pdf([*PAGES, [], []]))
    state = tmp_path / "s.pt"
    outcome = infini("read", book, "-o", state, "--format", "json")
    assert outcome.code == 0
    value = json.loads(outcome.out)
    assert value["schema"] == "infini.read/1"
    assert value["sources"][0]["pages"] == 8
    assert f"8 of 8 pages, {value['tokens']} tokens, {value['segments']} segments" in outcome.err
    assert "no text on pages 7-8" in outcome.err
    assert infini("read", book, "-o", state, "-q").err == ""


def test_pages_and_stdin(infini: Infini, tmp_path: Path) -> None:
    data = make_pdf(PAGES)
    some, part = tmp_path / "some.pt", tmp_path / "part.pt"
    assert "2 of 6 pages" in infini("read", "-o", some, "--pages", "2,4", stdin=data).err
    (tmp_path / "part.pdf").write_bytes(make_pdf([PAGES[1], PAGES[3]]))
    assert infini("read", tmp_path / "part.pdf", "-o", part).code == 0
    assert same(MemoryState.load(some), MemoryState.load(part))


def test_password_from_the_environment(infini: Infini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = tmp_path / "book.pdf"
    book.write_bytes(encrypt(make_pdf(PAGES), "sesame"))
    monkeypatch.setenv("INFINI_PDF_PASSWORD", "sesame")
    assert infini("read", book, "-o", tmp_path / "s.pt").code == 0


def test_where_the_state_must_not_go(infini: Infini, texts: tuple[Path, Path], tmp_path: Path) -> None:
    first, _ = texts
    before = first.read_bytes()
    assert_error(infini("read", first, "-o", first), 2, "would replace it")
    assert first.read_bytes() == before
    assert_error(infini("read", first, "-o", tmp_path / "no" / "s.pt"), 1, "does not exist", "mkdir")
    assert_error(infini("read", first, "-o", "-"), 2)
    assert_error(infini("read", first), 2, "--output")


def test_nothing_to_read_on_a_terminal(infini: Infini, tmp_path: Path) -> None:
    outcome = infini("read", "-o", tmp_path / "s.pt")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: infini read")


def test_pages_are_counted_while_reading(infini: Infini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[str] = []

    class Watched(Console):
        @contextlib.contextmanager
        def progress(self, total_tokens: int | None, label: str) -> Iterator[Advance]:
            yield lambda tokens, place="": places.append(place) if label == "reading" else None

    monkeypatch.setattr(options, "Console", Watched)
    book = tmp_path / "book.pdf"
    book.write_bytes(make_pdf(PAGES))
    assert infini("read", book, "--pages", "2-6", "-o", tmp_path / "s.pt").code == 0
    numbers = [int(place.removeprefix("p. ").removesuffix(" of 6")) for place in places]
    assert numbers == sorted(numbers) and numbers[0] in (2, 3) and numbers[-1] == 6 and len(set(numbers)) > 2
