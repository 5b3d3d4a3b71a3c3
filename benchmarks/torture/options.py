"""Values that cannot be meant, for every option and argument of every command: two lines, and no model is loaded.

The commands are found in the application itself. Weights are never loaded here: whatever asks for them has got through.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import torch
from infini_attention.memory.state import MemoryState, Origin
from typer.main import get_command

from benchmarks.torture.results import Result
from benchmarks.torture.tiny import RECIPE
from infini_cli import app
from infini_cli.user_file import KEYS

HUGE = "99999999999999999999"
# Of everything that takes a value.
NONSENSE = (*("-1", "0", HUGE, "many", "nan", "", " ", "x" * 300, "a\0b", "\x1b[31mred", "cuda:" + HUGE, '{"a": ['),)
# What else is tried of names of files and models.
NAMES = ("y" * 5000, "~nobody-of-that-name", "caf\udce9", "-", "../" * 2000)
TRAINING = """[training]
[[training.phases]]
steps = 20
lengths = [160]
segments = [2, 3]
tokens = 320
[training.phases.tasks]
distant_passkey = 1.0
"""


_build = app.build


class ModelWanted(BaseException):
    """The command got as far as to the weights of a model."""


@dataclass(frozen=True)
class Place:
    """A folder with what commands need, and with what looks like it and is not."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Place:
        """Fill a folder."""
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "recipe.toml").write_text(RECIPE.format(base="weights", segment=32) + TRAINING)
        (folder / "texts").mkdir()
        (folder / "empty").mkdir()
        for number in range(2):
            (folder / "texts" / f"{number}.txt").write_text("The miller came to the river in the morning.\n")
        (folder / "book.txt").write_text("The miller came to the river and saw a boat with six lamps.\n" * 4)
        (folder / "config.toml").write_text("")
        (folder / "dangling").symlink_to("nowhere.txt")
        (folder / "loop.txt").symlink_to("loop.txt")
        (folder / "cyclic").mkdir()
        (folder / "cyclic" / "again").symlink_to(".")
        (folder / "cyclic" / "gone.txt").symlink_to("nowhere.txt")
        (folder / "broken.jsonl").write_text(
            '{"source": \n' + "[" * 100_000 + '\n{"source": "a\\u0000b"}\n{"source": 1}\n'
        )
        matrix = torch.ones(1, 2, 8, 8)
        tensors = {"layers.0.matrix": matrix, "open_ids": torch.zeros(0, dtype=torch.int64)}
        MemoryState(Origin("tiny", "a" * 64, "b" * 64, "c" * 64), 32, 1, tensors).save(folder / "state.pt")
        return cls(folder)

    def paths(self) -> list[str]:
        """Names of things that are there, or could be, and are not what they should be."""
        bad = ("dangling", "loop.txt", "empty", "book.txt/x", "no/such/place.pt", "cyclic", "broken.jsonl")
        return [str(self.folder / name) for name in bad]


@dataclass(frozen=True)
class Trial:
    """A command line with one value that cannot be meant.

    Attributes:
        command: Its words.
        option: What the value is of.
        value: The value.
        arguments: The command line.
        environment: Variables beside it.
        refusable: Whether no such value can be meant, so that a model must not be loaded for it.
    """

    command: str
    option: str
    value: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    refusable: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a command ended; None for a code that was never reached, because a model was wanted."""

    code: int | None
    out: str
    err: str


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands that run, with their words."""
    for name in app.COMMANDS:
        root: Any = get_command(app.build(name))
        yield from _leaves((name,), root.commands[name])


def _leaves(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, each in inner.items():
        yield from _leaves((*words, name), each)


def trials(place: Place, *, whole: bool = True) -> Iterator[Trial]:
    """Every option and argument of every command, with every value, on the command line and in the environment.

    Args:
        place: See `Place.make`.
        whole: Also the rarer names of files, and the variables for every command that has them, not only for one.
    """
    variables: set[str] = set()
    for words, command in commands():
        for parameter in command.params:
            if parameter.name == "help":
                continue
            if not getattr(parameter, "is_flag", False):
                names = (*NAMES, *place.paths()) if whole and _is_name(parameter) else ()
                for value in (*NONSENSE, *names):
                    yield _trial(words, command, parameter, value, place)
            if parameter.envvar and (whole or parameter.envvar not in variables):
                variables.add(parameter.envvar)
                for value in NONSENSE:
                    if value.strip() and "\0" not in value:
                        beside = _beside(words, command, parameter, place)
                        variable = (str(parameter.envvar), value)
                        refusable = _refusable(command, parameter, value, place)
                        yield Trial(" ".join(words), variable[0], value, (*words, *beside), (variable,), refusable)


def setting_trials(place: Place) -> Iterator[Trial]:
    """Every key of the settings file with every value."""
    import tomli_w

    for key in KEYS:
        for number, value in enumerate((*NONSENSE, -1, True, [], {"a": 1}, float("nan"))):
            if isinstance(value, str) and "\udce9" in value:
                continue
            path = place.folder / f"{key}-{number}.toml"
            path.write_text(tomli_w.dumps({key: value}), encoding="utf-8")
            arguments = ("summarize", str(place.folder / "book.txt"))
            yield Trial("summarize", f"{key} in a file", str(value), arguments, (("INFINI_CONFIG", str(path)),))


def _trial(words: tuple[str, ...], command: Any, parameter: Any, value: str, place: Place) -> Trial:
    given = [value] if parameter.param_type_name == "argument" else [f"{parameter.opts[0]}={value}"]
    if parameter.param_type_name == "argument":
        given = ["--", *given]
    beside = _beside(words, command, parameter, place)
    name = parameter.opts[0] if parameter.param_type_name == "option" else str(parameter.name)
    return Trial(
        " ".join(words), name, value, (*words, *beside, *given), (), _refusable(command, parameter, value, place)
    )


def _is_name(parameter: Any) -> bool:
    """Whether a file or a model is named."""
    return any(word in str(parameter.metavar) for word in ("FILE", "STATE", "DIR", "NAME"))


def _refusable(command: Any, parameter: Any, value: str, place: Place) -> bool:
    """Whether a value can be meant by nobody."""
    if not value.strip() or "\0" in value:
        return True
    annotation = inspect.signature(command.callback).parameters[parameter.name].annotation
    meant, *about = get_args(annotation)
    kinds = [kind for kind in get_args(meant) or (meant,) if isinstance(kind, type)]
    if any(issubclass(kind, enum.Enum | bool) for kind in kinds):
        return not (bool in kinds and value in ("0", "1"))
    if int in kinds:
        least = about[0].min
        return not (value.isascii() and value.lstrip("-").isdigit() and (least or 0) <= int(value) < 10**9)
    if parameter.name in ("output", "plot"):
        return len(value) > 255 or value in (str(place.folder / "loop.txt"), str(place.folder / "book.txt/x"))
    return (_is_name(parameter) and not (value == "-" or value.startswith(str(place.folder)))) or _is_list(
        parameter, value
    )


def _is_list(parameter: Any, value: str) -> bool:
    """Whether a value is no list of what the option takes."""
    return parameter.name in ("device", "length", "depth", "shard", "pages") and value not in ("0", "-")


def _beside(words: tuple[str, ...], command: Any, parameter: Any, place: Place) -> list[str]:
    """What the command needs beside a parameter to get as far as it can."""
    book, state, folder = (str(place.folder / name) for name in ("book.txt", "state.pt", "out/"))
    own: dict[tuple[str, ...], dict[str, list[str]]] = {
        ("read",): {
            "batch": ["-o", folder],
            "jobs": ["-o", folder, str(place.folder / "texts")],
            "shard": ["-o", folder, str(place.folder / "texts")],
            "files": ["-o", str(place.folder / "s.pt")],
            "output": [book],
            "": [book, "-o", str(place.folder / "s.pt")],
        },
        ("summarize",): {"files": [], "": [book]},
        ("ask",): {"question": ["-f", book], "file": ["Who?"], "memory": ["Who?"], "": ["Who?", "-f", book]},
    }
    if words in own:
        return own[words].get(str(parameter.name), own[words][""])
    values = {"STATE": state, "NAME": "ask", "DIR": str(place.folder / "trained")}
    found: list[str] = []
    for each in command.params:
        if each.required and each is not parameter:
            value = values.get(str(each.metavar), book)
            found += [value] if each.param_type_name == "argument" else [each.opts[0], value]
    return found


@contextlib.contextmanager
def prepared(place: Place) -> Iterator[None]:
    """Inside, `command` can be called: away from the person's own settings, on a terminal, and with no weights anywhere."""
    stdin = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stdin.isatty = lambda: True  # type: ignore[method-assign]
    variables = {
        "INFINI_CONFIG": str(place.folder / "config.toml"),
        "INFINI_CACHE": str(place.folder / "cache"),
        "INFINI_MODEL": str(place.folder / "model"),
        "INFINI_DEVICE": "cpu",
        "XDG_CONFIG_HOME": str(place.folder),
    }
    with (
        mock.patch.dict(os.environ, variables),
        mock.patch.object(sys, "stdin", stdin),
        # Built once for all: that takes longer than to refuse a value.
        mock.patch.object(app, "build", lambda chosen: chosen),
        mock.patch.object(app, "get_command", _built),
        _no_weights(),
        contextlib.chdir(place.folder),
    ):
        yield


def command(arguments: Sequence[str], environment: Sequence[tuple[str, str]] = ()) -> Outcome:
    """Run a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    before = {name: os.environ.get(name) for name, _ in environment}
    os.environ.update(environment)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code: int | None = app.main(list(arguments))
    except ModelWanted:
        code = None
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    return Outcome(code, out.getvalue(), err.getvalue())


@functools.cache
def _built(chosen: str | None) -> Any:
    return get_command(_build(chosen))


@contextlib.contextmanager
def _no_weights() -> Iterator[None]:
    def wanted(*arguments: object, **options: object) -> None:
        raise ModelWanted

    with (
        mock.patch("infini_attention.model.loading.pull", wanted),
        mock.patch("infini_attention.model.weights.pull", wanted),
        mock.patch("infini_attention.model.weights.verify", wanted),
    ):
        yield


def fault(trial: Trial, outcome: Outcome) -> str | None:
    """What is wrong with how a command ended; None if nothing is."""
    if outcome.code is None or outcome.code == 0:
        return f"{'a model was loaded' if outcome.code is None else 'exit 0'} for it" if trial.refusable else None
    if "Traceback" in outcome.err or "looks like a bug" in outcome.err:
        return outcome.err.strip()
    if outcome.code not in (1, 2, 3, 4, 5, 6):
        return f"exit {outcome.code}"
    lines = outcome.err.splitlines()
    if lines and lines[0].startswith("Usage: ") and outcome.code == 2:
        return None
    if [line.partition(":")[0] for line in lines[-2:]] != ["error", "hint"] or outcome.err.count("error: ") != 1:
        return f"not two lines: {outcome.err!r}"
    if not all(line.partition(":")[2].strip() for line in lines[-2:]) or "\x1b" in outcome.err or outcome.out:
        return f"no plain two lines: {outcome.out!r} {outcome.err!r}"
    return None


def faults(place: Place, *, whole: bool = True) -> tuple[int, list[str]]:
    """How many values were tried, and what was wrong; see `trials`."""
    wrong: list[str] = []
    everything = [*trials(place, whole=whole), *setting_trials(place)]
    before = set(place.folder.iterdir())
    with prepared(place):
        for trial in everything:
            said = fault(trial, command(trial.arguments, trial.environment))
            # A summary that was written to a file of that name would be an input of the next trial.
            for path in set(place.folder.iterdir()) - before:
                if path.is_file():
                    path.unlink()
            if said is not None:
                wrong.append(f"{trial.command} {trial.option}={trial.value[:40]!r}: {said}")
    return len(everything), wrong


def run(folder: Path, count: int, seed: int) -> Result:
    """Try all; how many follows from the commands that there are."""
    place = Place.make(folder / "place")
    tried, wrong = faults(place)
    return Result("option values", tried, "values", {"options": _options()}, wrong)


def _options() -> int:
    return sum(
        parameter.name != "help" and not getattr(parameter, "is_flag", False)
        for _, command in commands()
        for parameter in command.params
    )
