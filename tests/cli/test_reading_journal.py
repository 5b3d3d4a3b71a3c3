"""A reading that is stopped, killed or out of room loses a minute at most, and leaves nothing torn and nothing stale."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import OTHER, STORY, Infini, assert_error
from document_helpers import make_pdf
from infini_attention import MemoryState, load
from infini_attention.documents.reading import ReadingInterrupted
from infini_attention.memory import reading_journal
from infini_attention.memory.engine import Engine
from infini_attention.memory.reading_journal import ReadingJournal, journal_of

from infini_cli.interrupt import deferred_interrupt

PAGES = [["The miller came to the river in the morning", f"and saw a boat with {n} lamps."] for n in range(6)]


@pytest.fixture
def documents(tmp_path: Path) -> list[Path]:
    story, letters = tmp_path / "story.txt", tmp_path / "letters.md"
    story.write_text(STORY)
    letters.write_text(f"# Letters\n\n{OTHER}")
    return [story, letters]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every segment."""
    monkeypatch.setattr(reading_journal, "INTERVAL", 0.0)


def names(folder: Path) -> set[str]:
    """Names of what stands beside a state, but for what the tests put there."""
    return {path.name for path in folder.iterdir()} - {
        "config.toml",
        "cache",
        "book.pdf",
        "story.txt",
        "letters.md",
        "old.pt",
    }


@contextlib.contextmanager
def at_segment(number: int, do: Callable[[], object]) -> Iterator[list[int]]:
    """Inside, something happens when so many segments are closed; gives the segments that were read."""
    read, closed = Engine.read, list[int]()

    def reading(engine: Engine, ids: Any, on_segment: None = None) -> None:
        before = engine.cache.segments
        read(engine, ids, on_segment)
        if engine.cache.segments > before:
            closed.append(engine.cache.segments)
            if engine.cache.segments == number:
                do()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "read", reading)
        yield closed


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_request_to_end_is_one(number: int) -> None:
    before = signal.getsignal(number)
    with deferred_interrupt() as asked:
        assert not asked()
        send(number)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            send(number)
    assert signal.getsignal(number) is before
    # As nohup has it.
    signal.signal(number, signal.SIG_IGN)
    try:
        with deferred_interrupt() as asked:
            send(number)
            assert not asked()
    finally:
        signal.signal(number, before)


def test_a_stopped_reading_is_gone_on_with(infini: Infini, documents: list[Path], tmp_path: Path) -> None:
    whole, state, book = tmp_path / "whole.pt", tmp_path / "s.pt", tmp_path / "book.pdf"
    book.write_bytes(make_pdf(PAGES))
    documents = [book, documents[1]]
    uninterrupted = infini("read", *documents, "-o", whole)
    with at_segment(2, lambda: send(signal.SIGTERM)):
        outcome = infini("read", *documents, "-o", state)
    assert (outcome.code, outcome.out) == (130, "")
    assert "interrupted: read 64 of" in outcome.err and "p. " in outcome.err and "same command" in outcome.err
    assert not state.exists() and journal_of(state).is_dir()
    assert_error(infini("ask", "--memory", state, "Who?"), 5, "not read to its end", "infini read")
    with at_segment(0, lambda: None) as closed:
        again = infini("read", *documents, "-o", state)
    assert again.code == 0 and "going on from" in again.err
    assert closed[0] == 3
    assert state.read_bytes() == whole.read_bytes()
    # What was read before counts.
    assert [line for line in again.err.splitlines() if " tokens, " in line and "s.pt" not in line] == [
        line for line in uninterrupted.err.splitlines() if " tokens, " in line and "whole.pt" not in line
    ]
    assert names(tmp_path) == {"s.pt", "whole.pt"}


def test_what_goes_on_from_a_state_is_gone_on_with_too(infini: Infini, documents: list[Path], tmp_path: Path) -> None:
    book, letters = documents
    old, whole, both = tmp_path / "old.pt", tmp_path / "whole.pt", tmp_path / "both.pt"
    assert infini("read", letters, "-o", old).code == 0
    segments = MemoryState.load(old).segments
    assert infini("read", book, "--memory", old, "-o", whole).code == 0
    with at_segment(segments + 3, lambda: send(signal.SIGINT)):
        assert infini("read", book, "--memory", old, "-o", both).code == 130
    # From another state it is another reading.
    other = infini("read", book, "-o", both)
    assert other.code == 0 and "going on" not in other.err and "another reading" in other.err
    with at_segment(segments + 3, lambda: send(signal.SIGINT)):
        assert infini("read", book, "--memory", old, "-o", both).code == 130
    assert "going on" in infini("read", book, "--memory", old, "-o", both).err
    assert both.read_bytes() == whole.read_bytes()
    # Into the very state that it goes on from.
    with at_segment(segments + 2, lambda: send(signal.SIGINT)):
        assert infini("read", book, "--memory", old, "-o", old).code == 130
    assert "going on" in infini("read", book, "--memory", old, "-o", old).err
    assert old.read_bytes() == whole.read_bytes()


class _Deadly:
    """Kills the process at its n-th step: a segment read, or a call that touches the disk."""

    CALLS = ("mkdir", "fsync", "replace", "unlink", "rmdir")

    def __init__(self, step: int) -> None:
        self.left = step
        for name in self.CALLS:
            setattr(os, name, self.counting(getattr(os, name)))
        Engine.read = self.counting(Engine.read)  # type: ignore[method-assign]

    def counting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left <= 0:
                send(signal.SIGKILL)
            return call(*given, **named)

        return counted


def in_a_child(step: int, run: Callable[[], int]) -> bool:
    """Whether a copy of this process was killed at a step of what it runs."""
    child = os.fork()
    if not child:
        code = 99
        try:
            _Deadly(step)
            code = run()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.usefixtures("often")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_kill_at_any_step_leaves_the_last_checkpoint(infini: Infini, documents: list[Path], tmp_path: Path) -> None:
    whole, state = tmp_path / "whole.pt", tmp_path / "s.pt"
    assert infini("read", documents[1], "-o", whole).code == 0
    step, kills = 1, 0
    # Each run dies at a later step of those that are left to it, and the last one comes to the end.
    while in_a_child(step, lambda: infini("read", documents[1], "-o", state).code):
        step, kills = step + 2, kills + 1
        if journal_of(state).exists() and (journal_of(state) / "checkpoint.pt").exists():
            MemoryState.load(journal_of(state) / "checkpoint.pt")
        if state.exists():
            assert state.read_bytes() == whole.read_bytes()
    assert kills > 5
    assert state.read_bytes() == whole.read_bytes()
    assert names(tmp_path) == {"s.pt", "whole.pt"}


@pytest.mark.usefixtures("often")
def test_a_full_disk_is_told_in_two_lines_and_gone_on_from(
    infini: Infini, documents: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, state = tmp_path / "whole.pt", tmp_path / "s.pt"
    assert infini("read", *documents, "-o", whole).code == 0
    state.write_bytes(b"what was there before")
    real = os.fsync
    for after in (0, 3, 99):
        calls: list[int] = []

        def full(descriptor: int, calls: list[int] = calls, after: int = after) -> None:
            calls.append(descriptor)
            if len(calls) > after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            outcome = infini("read", *documents, "-o", state)
        if after == 99:
            assert outcome.code == 0 and "going on" in outcome.err
            break
        assert_error(outcome, 1, "no space left")
        assert state.read_bytes() == b"what was there before"
        assert names(tmp_path) == {"s.pt", "whole.pt"} | ({"s.pt.journal"} if after else set())
        assert not list(tmp_path.rglob("*.tmp"))
    assert state.read_bytes() == whole.read_bytes()
    assert names(tmp_path) == {"s.pt", "whole.pt"}


def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(
    infini: Infini, documents: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path, *given: Any, **named: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "mkdir", denied)
    with at_segment(0, lambda: None) as closed:
        assert_error(infini("read", *documents, "-o", tmp_path / "s.pt"), 1, "s.pt.journal cannot be made")
    assert not closed and names(tmp_path) == set()


def test_two_readings_into_one_state_are_refused(infini: Infini, documents: list[Path], tmp_path: Path) -> None:
    state, link = tmp_path / "s.pt", tmp_path / "link.pt"
    link.symlink_to(state)
    with ReadingJournal(state):
        for name in (state, link):
            assert_error(infini("read", *documents, "-o", name), 1, "another process is reading into")
    assert infini("read", *documents, "-o", link).code == 0
    assert link.is_symlink() and MemoryState.load(state).segments
    assert names(tmp_path) == {"s.pt", "link.pt"}


def test_what_stands_in_the_journals_place_and_is_none_is_left_alone(
    infini: Infini, documents: list[Path], tmp_path: Path
) -> None:
    state = tmp_path / "s.pt"
    journal_of(state).write_text("mine")
    assert_error(infini("read", *documents, "-o", state), 1, "s.pt.journal")
    assert journal_of(state).read_text() == "mine"
    journal_of(state).unlink()
    (tmp_path / "elsewhere").mkdir()
    journal_of(state).symlink_to(tmp_path / "elsewhere")
    assert_error(infini("read", *documents, "-o", state), 1, "no folder of yours")
    journal_of(state).unlink()
    journal_of(state).mkdir(0o700)
    (journal_of(state) / "checkpoint.pt").write_bytes(b"PK torn")
    (journal_of(state) / "mine.txt").write_text("mine")
    outcome = infini("read", *documents, "-o", state)
    assert outcome.code == 0 and "begins anew" in outcome.err
    assert [path.name for path in journal_of(state).iterdir()] == ["mine.txt"]


def test_another_reading_is_not_lost_at_once(infini: Infini, documents: list[Path], tmp_path: Path) -> None:
    state = tmp_path / "s.pt"
    with at_segment(3, lambda: send(signal.SIGINT)):
        assert infini("read", *documents, "-o", state).code == 130
    kept = (journal_of(state) / "checkpoint.pt").read_bytes()

    def twice(*given: object) -> None:
        send(signal.SIGINT)
        send(signal.SIGINT)

    # A slip of the pen, and stopped before it has read anything.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "read", twice)
        assert infini("read", documents[1], "-o", state).code == 130
    assert (journal_of(state) / "checkpoint.pt").read_bytes() == kept
    assert "going on" in infini("read", *documents, "-o", state).err


def test_a_request_to_end_before_anything_is_read_leaves_nothing(
    infini: Infini, documents: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infini_cli.commands import read

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(read, "open_documents", lambda *_: send(signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        infini("read", *documents, "-o", tmp_path / "s.pt")
    assert ended.value.code == 128 + signal.SIGTERM
    assert names(tmp_path) == set()
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_same_in_python(infini: Infini, documents: list[Path], tmp_path: Path, model: str) -> None:
    whole, state = tmp_path / "whole.pt", tmp_path / "s.pt"
    assert infini("read", *documents, "-o", whole).code == 0
    with at_segment(4, lambda: None), pytest.raises(ReadingInterrupted):
        session = load(model, device="cpu", dtype="fp32")
        stops = iter([False] * 4 + [True] * 9)
        session.stoppable = lambda: contextlib.nullcontext(lambda: next(stops))
        session.read(*documents, output=state)
    assert journal_of(state).is_dir() and session.tokens_read
    with at_segment(0, lambda: None) as closed:
        load(model, device="cpu", dtype="fp32").read(*documents, output=state)
    assert closed[0] > 3
    assert state.read_bytes() == whole.read_bytes()
    assert names(tmp_path) == {"s.pt", "whole.pt"}


def test_only_the_owner_may_look_into_a_journal(infini: Infini, documents: list[Path], tmp_path: Path) -> None:
    state, old = tmp_path / "s.pt", os.umask(0)
    try:
        with at_segment(3, lambda: send(signal.SIGINT)):
            assert infini("read", *documents, "-o", state).code == 130
        assert stat.S_IMODE(journal_of(state).stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in journal_of(state).iterdir()} == {0o600}
    finally:
        os.umask(old)


def test_a_closed_pipe_for_notes_stops_nothing(
    infini: Infini, documents: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as gone:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", gone)
            assert infini("read", *documents, "-o", tmp_path / "s.pt").code == 0
        with contextlib.suppress(OSError):
            gone.flush()
        # So that closing it raises nothing.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, gone.fileno())
        os.close(null)
    assert MemoryState.load(tmp_path / "s.pt").segments


def test_beside_a_device_nothing_is_kept(infini: Infini, documents: list[Path], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        # More than a pipe holds is not read here.
        with contextlib.suppress(BlockingIOError):
            infini("read", documents[1], "--no-text", "-o", pipe)
        assert not journal_of(pipe).exists()
    finally:
        os.close(reader)
