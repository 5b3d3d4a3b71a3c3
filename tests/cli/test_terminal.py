"""What strangers wrote reaches a terminal as text: it is shown, and never obeyed."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_helpers import STORY, Infini, Terminal, write_recipe
from hypothesis import given
from hypothesis import strategies as st
from infini_attention import MemoryState
from infini_attention.documents import Block
from infini_attention.text.kept import ATTACHMENT, KeptText, pack

from infini_cli.app import main
from infini_cli.output import Console, emit_json, write_table
from infini_cli.terminal import Gate, shown

# The window's title, the clipboard, a link, a colour, C1's clearing of the screen, and letters from right to left.
HOSTILE = (
    "\x1b]0;title\x07\x1b]52;c;RVZJTA==\x07\x1b]8;;http://x\x1b\\a\x1b]8;;\x1b\\\x1b[31mEVIL\x9b2J\u202ebcd\u2066\x7f"
)
ORDERS = ("\x07", "\x9b", "\u202e", "\u2066", "\x7f", "\x1b]", "\x1b[31mEVIL", "\x1b\\")


OnTerminal = Callable[..., str]


@pytest.fixture
def on_terminal(infini: Infini, monkeypatch: pytest.MonkeyPatch) -> OnTerminal:
    """Runs a command on a wide terminal; all that the terminal got."""
    monkeypatch.setenv("COLUMNS", "500")

    def run(*arguments: object) -> str:
        screen = Terminal()
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, screen)
        keyboard = io.TextIOWrapper(io.BytesIO())
        keyboard.isatty = lambda: True  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", keyboard)
        main([str(argument) for argument in arguments])
        assert sys.stdout is screen and sys.stderr is screen
        return screen.getvalue()

    return run


def assert_shown(screen: str, word: str = "EVIL") -> None:
    assert word in screen
    assert [order for order in ORDERS if order in screen] == []


@pytest.fixture
def state(infini: Infini, tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state whose names, headings, labels and text were made by somebody hostile."""
    # In a short segment there is no room for passages.
    monkeypatch.setenv("INFINI_MODEL", str(write_recipe(tmp_path / "roomy", base_folder, segment=640)))
    path = tmp_path / "state.pt"
    (tmp_path / "book.txt").write_text(STORY)
    assert infini("read", tmp_path / "book.txt", "-o", path).code == 0
    state = MemoryState.load(path)
    hostile = dataclasses.replace(state.sources[0], name=HOSTILE, kind=HOSTILE, extractor=HOSTILE)
    blocks = tuple(
        Block(f"{HOSTILE} {part}", page, f"Chapter {HOSTILE}", f"x{HOSTILE}")
        for page, part in enumerate(STORY.split("\n\n"), 1)
    )
    state.sources = (hostile,)
    state.attachments = {ATTACHMENT: pack([KeptText(HOSTILE, blocks), KeptText("b", blocks)])}
    state.save(path)
    return path


@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
@pytest.mark.parametrize(
    "command",
    [
        ("ask", "--show-sources", "Who saw the boat and its EVIL lamps?"),
        ("summarize", "--per-chapter"),
        ("summarize", "--style", "outline"),
    ],
)
def test_answers_sources_and_headings(
    on_terminal: OnTerminal, state: Path, form: str, command: tuple[str, ...]
) -> None:
    assert_shown(on_terminal(*command, "--memory", state, "--format", form, "--verbose"))


@pytest.mark.parametrize("form", ["text", "json"])
def test_headers_of_states(on_terminal: OnTerminal, state: Path, form: str) -> None:
    assert_shown(on_terminal("state", "show", "--verbose", state, "--format", form))


def test_names_of_files_in_errors_notes_and_progress(on_terminal: OnTerminal, tmp_path: Path) -> None:
    book = tmp_path / HOSTILE.replace("/", "|")
    assert_shown(on_terminal("read", book, "-o", tmp_path / "s.pt"))
    book.write_text(STORY)
    for command in (
        ("read", f"--{HOSTILE.replace('=', '')}"),
        ("read", book, "-o", tmp_path / "s.pt", "--verbose"),
        ("ask", "-f", book, "Who?", "--debug"),
        ("read", book, tmp_path / "none.txt", "-o", f"{tmp_path}/states/"),
        (HOSTILE,),
        ("ask", "--device", HOSTILE, "--memory", tmp_path / "s.pt", "Who?"),
        ("state", "verify", book),
        ("models", "show", HOSTILE),
        ("prompts", "show", HOSTILE),
        ("eval", "passkey", "--length", HOSTILE),
    ):
        assert_shown(on_terminal(*command))


def test_text_that_is_dumped(on_terminal: OnTerminal, infini: Infini, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title {HOSTILE}\n\n{HOSTILE} and more.\n\n{STORY}", encoding="utf-8")
    for form in ("text", "json"):
        assert_shown(on_terminal("read", "--dump-text", page, "--format", form))


def test_json_on_a_terminal_is_the_same_value() -> None:
    screen, pipe = Terminal(), io.StringIO()
    emit_json({"a": HOSTILE}, Gate(screen))  # type: ignore[arg-type]
    emit_json({"a": HOSTILE}, pipe)
    assert json.loads(screen.getvalue()) == json.loads(pipe.getvalue()) == {"a": HOSTILE}
    assert "\u202e" in pipe.getvalue()
    assert_shown(screen.getvalue())


def test_a_pipe_gets_the_text_as_it_is(infini: Infini, state: Path) -> None:
    outcome = infini("state", "show", state, "--format", "json")
    assert "\u202e" in outcome.out and json.loads(outcome.out)["sources"][0]["name"] == HOSTILE
    assert "\u202e" in infini("summarize", "--style", "outline", "--memory", state).out


def test_a_question_is_put_as_it_is(on_terminal: OnTerminal, state: Path) -> None:
    # What a model of random weights says may be anything.
    assert_shown(on_terminal("ask", HOSTILE, "--memory", state), "answer")


def test_tables_take_names_for_no_markup() -> None:
    screen = Terminal()
    write_table(["[link=http://x]name[/link]", HOSTILE], [["[bold]b[/bold]", HOSTILE]], screen)
    assert_shown(screen.getvalue())
    assert "[link=http://x]name" in screen.getvalue() and "[bold]b" in screen.getvalue()


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    screen = Terminal()
    with Console(stderr=screen).progress(10, HOSTILE) as advance:
        advance(5, HOSTILE)
    assert_shown(screen.getvalue())


@given(st.text(st.characters(codec=None)))
def test_what_is_shown_gives_no_orders(text: str) -> None:
    safe = shown(text)
    assert all(letter in "\t\n" or letter >= " " for letter in safe)
    assert not any("\x7f" <= letter <= "\x9f" or "\u202a" <= letter <= "\u202e" for letter in safe)
    safe.encode()
    if text.isascii() and text.isprintable():
        assert safe == text


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals here")
def test_a_file_that_is_a_terminal(infini: Infini, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    leader, follower = os.openpty()
    try:
        assert infini("state", "show", state, "-o", os.ttyname(follower)).code == 0
        # A terminal gives a line or so at a time.
        screen = b""
        while select.select([leader], [], [], 0.2)[0]:
            screen += os.read(leader, 100_000)
        assert_shown(screen.decode(errors="replace"))
    finally:
        os.close(follower)
        os.close(leader)
