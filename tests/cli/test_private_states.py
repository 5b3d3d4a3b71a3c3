"""States that nobody else reads: encrypted with a passphrase, and without their text where that is to be forgotten."""

from __future__ import annotations

import getpass
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import OTHER, SEGMENT, SENTENCES, STORY, Infini, assert_error
from infini_attention import MemoryState, load
from infini_attention.memory import cipher, reading_journal
from infini_attention.memory.cipher import MAGIC, LockedState, StateCipher
from infini_attention.memory.engine import Engine
from infini_attention.text.kept import ATTACHMENT

WORD = "sesame and lilies"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses cost nothing, and no passphrase is at hand."""
    monkeypatch.setattr(cipher, "_COST", 4)
    for name in ("INFINI_PASSPHRASE", "INFINI_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def story(tmp_path: Path) -> Path:
    (tmp_path / "story.txt").write_text(STORY)
    return tmp_path / "story.txt"


@pytest.fixture
def word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINI_PASSPHRASE", WORD)


def opened(path: Path, passphrase: str = WORD) -> MemoryState:
    assert path.read_bytes().startswith(MAGIC)
    return MemoryState.load(path, StateCipher(passphrase))


def holds(path: Path, text: str) -> bool:
    return text.encode() in path.read_bytes()


def interrupt_at(patch: pytest.MonkeyPatch, segment: int) -> None:
    read = Engine.read

    def reading(engine: Engine, ids: Any, on_segment: None = None) -> None:
        read(engine, ids, on_segment)
        if engine.cache.segments == segment:
            os.kill(os.getpid(), signal.SIGINT)

    patch.setattr(Engine, "read", reading)


@pytest.mark.usefixtures("word")
def test_an_encrypted_state_is_opened_by_every_command_and_stays_encrypted(
    infini: Infini, story: Path, tmp_path: Path
) -> None:
    plain, state, both = tmp_path / "plain.pt", tmp_path / "s.safetensors", tmp_path / "both.pt"
    assert infini("read", story, "-o", plain).code == 0
    assert infini("read", story, "-o", state, "--encrypt").code == 0
    assert opened(state).header() == MemoryState.load(plain).header()
    assert holds(plain, "story.txt") and not holds(state, "story.txt")
    assert infini("state", "verify", state).code == 0
    shown = json.loads(infini("state", "show", state, "--format", "json").out)
    assert shown["encrypted"] and not json.loads(infini("state", "show", plain, "--format", "json").out)["encrypted"]
    assert "encrypted" in infini("state", "show", state).out
    question = ("--max-tokens", "2", "Who came to the river?")
    assert infini("ask", "--memory", state, *question).out == infini("ask", "--memory", plain, *question).out
    assert infini("summarize", "--memory", state, "--length", "5").code == 0
    assert infini("ask", "--memory", state, "--update", *question).code == 0
    assert [source.kind for source in opened(state).sources] == ["text", "dialogue"]
    assert infini("read", story, "--memory", state, "-o", both).code == 0
    assert len(opened(both).sources) == 3
    assert infini("passkey-test", "--memory", state, "--length", "120", "--depth", "0", "--trials", "1").code == 0
    assert infini("state", "forget", state).code == 0
    assert opened(state).attachments == {}


def test_another_passphrase_and_none_are_told_in_two_lines(
    infini: Infini, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "s.pt"
    assert_error(infini("read", story, "-o", state, "--encrypt"), 2, "passphrase", "INFINI_PASSPHRASE")
    monkeypatch.setenv("INFINI_PASSPHRASE", "")
    assert_error(infini("read", story, "-o", state, "--encrypt"), 2, "empty")
    monkeypatch.setenv("INFINI_PASSPHRASE", WORD)
    assert infini("read", story, "-o", state, "--encrypt").code == 0
    before = state.read_bytes()
    commands: list[tuple[object, ...]] = [
        ("ask", "--memory", state, "Who?"),
        ("ask", "--memory", state, "--update", "Who?"),
        ("summarize", "--memory", state),
        ("read", story, "--memory", state, "-o", tmp_path / "both.pt"),
        ("state", "show", state),
        ("state", "verify", state),
        ("state", "forget", state),
    ]
    for given, why in ((None, "no passphrase"), ("another", "another one")):
        if given is None:
            monkeypatch.delenv("INFINI_PASSPHRASE")
        else:
            monkeypatch.setenv("INFINI_PASSPHRASE", given)
        for command in commands:
            assert_error(infini(*command), 5, "s.pt", why)
    assert state.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"story.txt", "s.pt", "config.toml"}


def test_a_passphrase_comes_from_a_file_or_from_the_person(
    infini: Infini, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, file = tmp_path / "s.pt", tmp_path / "word"
    monkeypatch.setenv("INFINI_PASSPHRASE_FILE", str(file))
    assert_error(infini("read", story, "-o", state, "--encrypt"), 2, "cannot be read")
    file.write_text(f"{WORD}\r\n")
    assert infini("read", story, "-o", state, "--encrypt").code == 0
    opened(state)
    monkeypatch.delenv("INFINI_PASSPHRASE_FILE")
    typed = iter([WORD, WORD, "other", "one", "another"])
    monkeypatch.setattr(getpass, "getpass", lambda *_, **__: next(typed))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert infini("state", "verify", state).code == 0
    # What is opened already is not asked for again.
    assert infini("read", story, "--memory", state, "-o", state, "--encrypt").code == 0
    assert_error(infini("read", story, "-o", tmp_path / "t.pt", "--encrypt"), 2, "differ")


@pytest.mark.usefixtures("word")
def test_the_journal_of_an_encrypted_state_is_encrypted(
    infini: Infini, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, checkpoint = tmp_path / "s.pt", tmp_path / "s.pt.journal" / "checkpoint.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_journal, "INTERVAL", 0.0)
        interrupt_at(patch, 3)
        assert infini("read", story, "-o", state, "--encrypt").code == 130
    assert opened(checkpoint).tokens == 3 * SEGMENT
    kept = checkpoint.read_bytes()
    monkeypatch.setenv("INFINI_PASSPHRASE", "another")
    assert_error(infini("read", story, "-o", state, "--encrypt"), 5, "checkpoint.pt")
    assert_error(infini("read", story, "-o", state), 5, "no passphrase")
    assert checkpoint.read_bytes() == kept
    monkeypatch.setenv("INFINI_PASSPHRASE", WORD)
    assert "going on from" in infini("read", story, "-o", state, "--encrypt").err
    assert infini("read", story, "-o", tmp_path / "whole.pt").code == 0
    assert opened(state).header() == MemoryState.load(tmp_path / "whole.pt").header()
    assert not checkpoint.parent.exists()


def test_a_folder_of_encrypted_states(
    infini: Infini, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "states"
    assert infini("read", story, "-o", f"{folder}/").code == 0
    monkeypatch.setenv("INFINI_PASSPHRASE", WORD)
    assert "1 read" in infini("read", story, "-o", folder, "--encrypt").err
    assert "1 skipped" in infini("read", story, "-o", folder, "--encrypt").err
    before = opened(folder / "story.pt").header()
    # Neither another passphrase nor none replaces what is encrypted.
    assert infini("read", story, "-o", folder).code == 6
    monkeypatch.setenv("INFINI_PASSPHRASE", "another")
    assert infini("read", story, "-o", folder, "--encrypt").code == 6
    assert opened(folder / "story.pt").header() == before


def test_the_text_is_forgotten_and_the_memory_kept(infini: Infini, story: Path, tmp_path: Path) -> None:
    state = tmp_path / "s.pt"
    assert infini("read", story, "-o", state).code == 0
    before, size = MemoryState.load(state), state.stat().st_size
    # Notes, or whatever else comes to travel along.
    before.attachments["notes"] = b"the miller came"
    before.save(state)
    outcome = infini("state", "forget", state)
    assert outcome.code == 0 and "taken out" in outcome.out
    after = MemoryState.load(state)
    assert after.attachments == {} and ATTACHMENT in before.attachments
    assert (after.tokens, after.segments, after.sources, after.origin) == (
        before.tokens,
        before.segments,
        before.sources,
        before.origin,
    )
    assert all((tensor == before.tensors[name]).all() for name, tensor in after.tensors.items())
    assert oct(state.stat().st_mode & 0o777) == "0o600" and state.stat().st_size < size
    assert "no text to look back at" in infini("ask", "--memory", state, "--max-tokens", "2", "Who?").err
    assert "no text" in infini("state", "forget", state).out
    with reading_journal.ReadingJournal(state):
        assert_error(infini("state", "forget", state), 1, "another process")
        assert_error(infini("ask", "--memory", state, "--update", "Who?"), 1, "another process")
    assert_error(infini("state", "forget", story), 5, "not a memory state")


def test_the_same_in_python(infini: Infini, story: Path, tmp_path: Path, model: str) -> None:
    state = tmp_path / "s.pt"
    load(model, device="cpu", dtype="fp32", passphrase=WORD).read(story, output=state)
    assert opened(state).segments
    again = load(model, memory=state, passphrase=WORD, device="cpu", dtype="fp32")
    again.save(state)
    assert opened(state).segments
    with pytest.raises(LockedState):
        load(model, memory=state)
    with pytest.raises(LockedState):
        load(model, memory=state, passphrase="another")


@pytest.mark.parametrize("place", ["magic", "version", "salt", "nonce", "text", "tag", "short"])
def test_what_was_altered_is_refused(story: Path, tmp_path: Path, place: str) -> None:
    key, content = StateCipher(WORD), b"PK" + bytes(200)
    whole = key.encrypt(content)
    assert key.decrypt(whole) == content and StateCipher(WORD).decrypt(whole) == content
    assert key.encrypt(content) != whole
    at = {"magic": 0, "version": len(MAGIC) - 1, "salt": len(MAGIC), "nonce": len(MAGIC) + 16, "text": 60, "tag": -1}
    changed = bytearray(whole)
    if place == "short":
        del changed[len(MAGIC) + 30 :]
    else:
        changed[at[place]] ^= 1
    with pytest.raises(ValueError):
        key.decrypt(bytes(changed))
    path = tmp_path / "s.pt"
    path.write_bytes(changed)
    from infini_attention import StateError

    with pytest.raises(StateError):
        MemoryState.load(path, key)


def test_no_text_of_a_document_is_told_beside_the_answer(infini: Infini, story: Path, tmp_path: Path) -> None:
    """Not in notes, not with --verbose, not when reading stops, not when something fails."""
    other = tmp_path / "other.md"
    other.write_text(f"# The hidden heading\n\n{OTHER}")
    state = tmp_path / "s.pt"
    told = infini("read", story, other, "-o", state, "-v").err
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, 3)
        told += infini("read", story, "-o", tmp_path / "t.pt", "-v").err
    told += infini("read", story, "-o", tmp_path / "t.pt", "-v").err
    told += infini("read", story, other, "-o", f"{tmp_path}/states/", "-v").err
    told += infini("ask", "--memory", state, "--max-tokens", "2", "-v", "Who?").err
    told += infini("ask", "-f", story, "--max-tokens", "2", "-v", "Who?").err
    told += infini("summarize", story, other, "-v", "--length", "20").err
    told += infini("state", "show", state, "-v").err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "read", lambda *_: 1 / 0)
        told += infini("read", story, "-o", state, "-v").err
    assert "ZeroDivisionError" in told
    words = told.casefold()
    for text in (*SENTENCES, "The hidden heading"):
        parts = text.casefold().split()
        for start in range(len(parts) - 2):
            assert " ".join(parts[start : start + 3]) not in words, told
