from __future__ import annotations

import errno
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import Terminal
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.errors import InfiniError
from infini_attention.files import atomic_writer

from infini_cli.output import Console, answer_file, emit_json, write_answer


class Recorder(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def flush(self) -> None:
        self.seen.append(self.getvalue())


@pytest.mark.parametrize(
    ("quiet", "verbose", "expected"),
    [(False, False, "note\n"), (False, True, "note\ndetail\n"), (True, False, ""), (True, True, "")],
)
def test_notes_and_details(quiet: bool, verbose: bool, expected: str) -> None:
    stream = io.StringIO()
    console = Console(quiet=quiet, verbose=verbose, stderr=stream)
    console.note("note")
    console.detail("detail")
    assert stream.getvalue() == expected


def test_progress_on_a_terminal_only() -> None:
    for stream, quiet, shown in (
        (Terminal(), False, True),
        (Terminal(), True, False),
        (io.StringIO(), False, False),
    ):
        with Console(quiet=quiet, stderr=stream).progress(2000, "Reading [b]a.txt") as advance:
            advance(500)
            advance(1500)
        assert ("2,000/2,000 tokens" in stream.getvalue()) is shown
        assert ("Reading [b]a.txt" in stream.getvalue()) is shown
        assert ("tokens/s" in stream.getvalue()) is shown


def test_progress_without_a_total() -> None:
    stream = Terminal()
    with Console(stderr=stream).progress(None, "Reading") as advance:
        advance(500)
    assert "500 tokens" in stream.getvalue()


def test_rich_is_imported_only_for_progress() -> None:
    code = "import sys, infini_cli.output as o; o.Console().note('x'); print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_answer_is_flushed_piece_by_piece() -> None:
    stream = Recorder()
    assert write_answer(iter(["The ", "mill\n", "\ner", "", "\n\n"]), stream) == "The mill\n\ner"
    assert stream.seen == ["The ", "The mill", "The mill\n\ner", "The mill\n\ner\n"]


@given(st.lists(st.text(alphabet="a \n", max_size=4)))
def test_an_answer_ends_with_one_newline(pieces: list[str]) -> None:
    stream = io.StringIO()
    answer = write_answer(iter(pieces), stream)
    assert stream.getvalue() == answer + "\n"
    assert answer == "".join(pieces).rstrip("\n")


def test_json() -> None:
    stream = io.StringIO()
    emit_json({"a": "ü\n"}, stream, jsonl=True)
    assert stream.getvalue() == '{"a": "ü\\n"}\n'
    stream = io.StringIO()
    emit_json({"a": [1]}, stream)
    assert json.loads(stream.getvalue()) == {"a": [1]}
    assert "\n  " in stream.getvalue()
    with pytest.raises(ValueError, match="JSON"):
        emit_json(float("nan"), stream)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with atomic_writer(path) as file:
        file.write("new ü")
        assert not path.exists()
    assert path.read_bytes() == "new ü".encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.txt"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_replaced_file_keeps_its_permissions_and_links(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with atomic_writer(link, binary=True) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_keeps_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises((InfiniError, KeyboardInterrupt)), atomic_writer(path) as file:
        file.write("half")
        raise error
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.txt"]


def test_disk_full_while_syncing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfiniError, match="no space left") as caught, atomic_writer(path) as file:
        file.write("new")
    assert caught.value.exit_code == 1
    assert "unchanged" in caught.value.hint
    assert path.read_text() == "old"


def test_a_full_device() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(InfiniError, match="no space left"), atomic_writer("/dev/full") as file:
        file.write("x" * 100_000)


@pytest.mark.parametrize("name", ["", "none/out.txt"])
def test_places_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InfiniError, match="cannot be written"), atomic_writer(tmp_path / name):
        pass


def test_an_error_about_another_file_is_not_changed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_writer(tmp_path / "out.txt"):
        Path("/nowhere/at/all").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_answer_goes_to_stdout_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answer_file(None) as file:
        file.write("out")
    with answer_file("-") as file:
        file.write("put")
    assert capsys.readouterr().out == "output"
    with answer_file(tmp_path / "a") as file:
        file.write("answer")
    assert (tmp_path / "a").read_text() == "answer"
