"""A tiny model with random weights, and a way to run the command line in this process."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from cli_helpers import OTHER, SENTENCES, STORY, Infini, Outcome, assert_documented, write_recipe
from infini_attention import Loaded, load_model

from benchmarks.torture.tiny import write_base


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with a byte-level tokenizer and a chat template."""
    return write_base(tmp_path_factory.mktemp("base"), SENTENCES)


@pytest.fixture(scope="session")
def model(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of the tiny model."""
    return str(write_recipe(tmp_path_factory.mktemp("tiny"), base_folder))


@pytest.fixture(scope="session")
def loaded(model: str) -> Loaded:
    """The tiny model itself, which no test changes."""
    return load_model(model, device="cpu", dtype="fp32")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A short document."""
    path = tmp_path / "book.txt"
    path.write_text(STORY)
    return path


@pytest.fixture
def state(infini: Infini, book: Path) -> Path:
    """What the tiny model has read of it."""
    path = book.parent / "state.pt"
    assert infini("read", book, "-o", path).code == 0
    return path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder of documents, each longer than the one before."""
    folder = tmp_path / "library"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.txt").write_text(STORY * (number + 1) + OTHER)
    return folder


@pytest.fixture
def infini(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str) -> Infini:
    """Runs the command line on the tiny model, away from the person's own settings and caches.

    Whatever JSON it prints, in any test, has to follow its schema.
    """
    from infini_cli.app import main

    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("INFINI_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("INFINI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("INFINI_DEVICE", "cpu")
    monkeypatch.setenv("INFINI_DTYPE", "fp32")
    monkeypatch.setenv("INFINI_MODEL", model)
    monkeypatch.delenv("INFINI_PDF_PASSWORD", raising=False)

    def run(*arguments: object, stdin: bytes | None = None) -> Outcome:
        stream = io.TextIOWrapper(io.BytesIO(stdin or b""), encoding="utf-8")
        stream.isatty = lambda: stdin is None  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", stream)
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        streams = capfd.readouterr()
        assert_documented(streams.out)
        return Outcome(code, streams.out, streams.err)

    return run
