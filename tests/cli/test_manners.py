from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_helpers import STORY, Infini, assert_error, of_a_process
from infini_attention.qa import turn

from benchmarks.torture.options import commands
from infini_cli.app import ALIASES, COMMANDS


def environment(tmp_path: Path, model: str) -> dict[str, str]:
    (tmp_path / "config.toml").write_text("")
    own = {"INFINI_CONFIG": str(tmp_path / "config.toml"), "INFINI_CACHE": str(tmp_path / "cache")}
    return of_a_process(**own, INFINI_MODEL=model, INFINI_DEVICE="cpu", INFINI_DTYPE="fp32")


def test_help_lists_all_options_of_every_command(infini: Infini) -> None:
    for words, command in commands():
        outcome = infini(*words, "--help")
        assert (outcome.code, outcome.err) == (0, ""), words
        names = [
            name for parameter in command.params if parameter.param_type_name == "option" for name in parameter.opts
        ]
        assert {"--output", "--format", "--debug"} < set(names)
        for name in names:
            assert re.search(rf"(?<!\S){name}\b", outcome.out), (words, name)


def test_help_and_version(infini: Infini) -> None:
    outcome = infini("--help")
    assert (outcome.code, outcome.err) == (0, "")
    for name in COMMANDS:
        assert f"  {name} " in outcome.out
    assert not any(f"\n  {alias} " in outcome.out for alias in ALIASES)
    assert infini("--version").out.startswith("infini ")
    outcome = infini()
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: infini")
    assert_error(infini("frob"), 2, "frob", "infini --help")
    assert_error(infini("read", "--frob"), 2, "--frob", "infini read --help")


def test_help_answers_at_once(tmp_path: Path) -> None:
    times = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "infini_cli", "--help"],
            env=environment(tmp_path, "tiny"),
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        # Processor time, which other tests that run at the same time cannot stretch.
        times.append(used.ru_utime + used.ru_stime)
    assert min(times) < 0.5, times


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys; from infini_cli.app import main; main(['--help']); print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ("torch", "transformers", "numpy", "rich", "pypdf", "matplotlib", "ray")
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy],
        env=environment(tmp_path, "tiny"),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_verbose_tells_the_device_and_why(infini: Infini, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(STORY)
    command = ("ask", "Who?", "-f", tmp_path / "book.txt", "--max-tokens", "2")
    assert "cpu as asked; fp32 as asked" in infini(*command, "-v").err
    assert "as asked" not in infini(*command).err
    quiet = infini(*command, "-q")
    assert quiet.err == "" and quiet.out


def test_traceback_only_for_debug(infini: Infini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_error(infini("summarize", tmp_path / "none.txt"), 3)
    outcome = infini("summarize", tmp_path / "none.txt", "--debug")
    assert outcome.code == 3
    assert "Traceback" in outcome.err and outcome.err.splitlines()[-2].startswith("error: ")

    def fall_over(*arguments: object, **options: object) -> None:
        raise RuntimeError("the sky\nfell")

    monkeypatch.setattr(turn.Turn, "__init__", fall_over)
    assert_error(infini("ask", "Who?", "-f", "-", stdin=STORY.encode()), 1, "RuntimeError: the sky fell", "bug")


def test_interrupt_while_answering_is_quiet(infini: Infini, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(turn.Turn, "__init__", stop)
    outcome = infini("ask", "-q", "Who?", "-f", "-", stdin=STORY.encode())
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "")


def start(command: list[object], environ: dict[str, str], stdin: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "infini_cli", *map(str, command)],
        env=environ,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_closed_pipe_ends_quietly(tmp_path: Path, model: str) -> None:
    with start(["summarize", "-q"], environment(tmp_path, model), subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stderr
        # The reader of the answer goes away before its first word.
        process.stdout.close()
        process.stdin.write(STORY)
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_interrupt_while_reading(tmp_path: Path, model: str, infini: Infini) -> None:
    book, state = tmp_path / "book.txt", tmp_path / "s.pt"
    book.write_text(STORY * 400)
    command = ["read", book, "-o", state, "-v"]
    with start(command, environment(tmp_path, model), subprocess.DEVNULL) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("reading "):
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err and "interrupted: read " in err
    assert infini("state", "verify", tmp_path / "s.pt.journal" / "checkpoint.pt").code == 0
