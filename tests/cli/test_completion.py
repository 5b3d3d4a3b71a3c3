"""What shells are offered for a word that is not finished."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import shellingham
from cli_helpers import of_a_process

from infini_cli import completion, evaluating, options, schemas
from infini_cli.app import COMMANDS, main
from infini_cli.commands import adapt, evaluation

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Complete:
    """Completes the last word of a line as a shell asks for it, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def ask(line: str, shell: str = "bash") -> list[str]:
        monkeypatch.setenv("_INFINI_COMPLETE", f"complete_{shell}")
        if shell == "bash":
            monkeypatch.setenv("COMP_WORDS", line)
            monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        else:
            monkeypatch.delenv("COMP_WORDS", raising=False)
            monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
            monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([])
        assert not ended.value.code
        streams = capfd.readouterr()
        assert streams.err == ""
        return [one for one in streams.out.splitlines() if one]

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("infini ", list(COMMANDS)),
        ("infini re", ["read"]),
        ("infini eval ", ["passkey", "needle", "facts", "ppl", "qa", "refusal", "summary", "ruler", "babilong"]),
        ("infini eval p", ["passkey", "ppl"]),
        ("infini state ", ["show", "verify", "forget"]),
        ("infini read --me", ["--memory"]),
        ("infini summarise --le", ["--length"]),
        ("infini read --device c", ["cpu", "cuda"]),
        ("infini read --dtype b", ["bf16"]),
        ("infini read --format j", ["json", "jsonl"]),
        ("infini adapt --rule delta", ["delta", "deltanet"]),
        ("infini eval ppl --system k", ["knn"]),
        ("infini eval qa --view w", ["words"]),
        ("infini summarize --style b", ["bullets"]),
        ("infini read --model smol", ["smollm2-135m"]),
        ("infini models show ", completion.recipes()),
        ("infini schema infini.v", ["infini.verify/1"]),
        ("infini schema ", schemas.names()),
        ("infini prompts copy ", ["ask", "ask-passages", "summarize"]),
        # Where nothing is offered, the shell completes file names.
        ("infini read some", []),
        ("infini adapt --data te", []),
    ],
)
def test_words(complete: Complete, line: str, offered: list[str]) -> None:
    assert complete(line) == offered
    assert [one.split("\t")[0] for one in complete(line, "fish")] == offered
    of_zsh = " ".join(complete(line, "zsh"))
    assert all(f'"{one}"' in of_zsh for one in offered) if offered else of_zsh == "_files"


def test_models_and_states_beside_the_word(complete: Complete, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    (kept / "own").mkdir(parents=True)
    (kept / "own" / "recipe.toml").touch()
    (kept / "empty").mkdir()
    for name in ("a.pt", "b.safetensors", "c.txt", ".hidden.pt"):
        (kept / name).touch()
    for option in ("ask --memory", "state show", "passkey-test --memory"):
        assert complete(f"infini {option} kept/") == ["kept/a.pt", "kept/b.safetensors"]
    assert complete(f"infini ask --memory {kept}/a") == [f"{kept}/a.pt"]
    assert complete("infini ask --memory kept/.h") == ["kept/.hidden.pt"]
    assert complete("infini ask --model kept/") == ["kept/own"]
    assert complete("infini ask --memory none/") == complete("infini ask --memory kept/c") == []
    monkeypatch.setenv("HOME", str(tmp_path))
    assert complete("infini ask --memory ~/kept/b") == ["~/kept/b.safetensors"]
    # One that has to be quoted is left to the shell, and with it all of them: none must look as if it were not there.
    (kept / "a b.pt").touch()
    assert complete("infini ask --memory kept/") == []
    assert complete("infini ask --memory kept/b") == ["kept/b.safetensors"]


def test_values_are_those_that_are_taken() -> None:
    from infini_attention.evaluate import baselines, question_answering
    from infini_attention.memory.config import UpdateRule
    from infini_attention.model import recipe as recipes
    from infini_attention.model.device import DTYPES
    from infini_attention.train import catalogue

    assert get_args(UpdateRule) == tuple(options.Rule)
    assert ("auto", *DTYPES) == tuple(options.Dtype)
    assert tuple(evaluating.System) == baselines.SYSTEMS
    assert tuple(evaluation.View) == question_answering.VIEWS
    assert tuple(adapt.System) == catalogue.SYSTEMS
    assert completion.recipes() == recipes.names()


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "infini").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m infini_cli "$@"\n')
    (tools / "infini").chmod(0o755)
    return of_a_process(PATH=f"{tools}{os.pathsep}{os.environ['PATH']}", **more)


def test_bash_completes(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    (tmp_path / "state.pt").touch()
    script = """
    eval "$(_INFINI_COMPLETE=source_bash infini)"
    complete -p infini
    COMP_WORDS=(infini ask --memory sta) COMP_CWORD=3
    _infini_completion infini
    echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    registered, offered = done.stdout.splitlines()
    assert "-F _infini_completion infini" in registered and "-o default" in registered
    assert offered == "state.pt"


@pytest.mark.parametrize("line", ["infini ", "infini ask --model ", "infini eval qa --view ", "infini state show "])
def test_nothing_heavy_is_imported(tmp_path: Path, line: str) -> None:
    code = """
import sys
from infini_cli.app import main
try:
    main([])
finally:
    print("loaded:", [name for name in sys.argv[1:] if name in sys.modules])
"""
    heavy = ("torch", "transformers", "numpy", "pypdf", "matplotlib")
    asked = {"_INFINI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy],
        env=environment(tmp_path, **asked),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".bash_completions/infini.sh"),
        ("zsh", ".zfunc/_infini"),
        ("fish", ".config/fish/completions/infini.fish"),
    ],
)
def test_shown_and_installed_for_the_shell_in_use(
    shell: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(shellingham, "detect_shell", lambda: (shell, f"/bin/{shell}"))
    with pytest.raises(SystemExit):
        main(["--show-completion"])
    shown = capfd.readouterr().out
    assert f"_INFINI_COMPLETE=complete_{shell}" in shown
    with pytest.raises(SystemExit):
        main(["--install-completion"])
    assert (tmp_path / place).read_text().strip() == shown.strip()
    assert str(tmp_path / place) in capfd.readouterr().out.replace("\n", "")
