"""Options that subcommands share, as dataclasses that `expanded` spells out for Typer.

A flag wins over its `INFINI_*` variable, and that over the user's file (see `user_file`); Typer sees to it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_type_hints

import typer
from infini_attention.errors import UsageFailure

from infini_cli import completion
from infini_cli.exits import EXIT_USAGE
from infini_cli.output import Console, answer_file, emit_json
from infini_cli.user_file import UserFile
from infini_cli.values import LARGEST_SEED, device, refuse_blank_settings, whole_number, writable

if TYPE_CHECKING:
    from infini_attention.documents import PageSelection


class Format(StrEnum):
    """Form of what goes to stdout."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


class PdfBackend(StrEnum):
    """What is asked first for the text of a PDF."""

    PDFIUM = "pdfium"
    PYPDF = "pypdf"


class Dtype(StrEnum):
    """Types of number that a model runs in."""

    AUTO = "auto"
    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"


class Weights(StrEnum):
    """What answers are decoded with."""

    AUTO = "auto"
    FLOAT32 = "float32"
    INT8 = "int8"


class Rule(StrEnum):
    """Update rules of the memory."""

    LINEAR = "linear"
    DELTA = "delta"
    DELTANET = "deltanet"


@dataclass
class Flags:
    """What `main` has to know of the options once a command has failed."""

    debug: bool = False


def _note_debug(ctx: typer.Context, value: bool) -> bool:
    root = ctx.find_root()
    if value and isinstance(root.obj, Flags):
        root.obj.debug = True
    return value


def _setting(name: str, *short: str, **more: Any) -> Any:
    """An option that has a variable and a key in the user's file too; its help does without them."""
    variable = f"INFINI_{name.removeprefix('--').replace('-', '_').upper()}"
    return typer.Option(name, *short, envvar=variable, show_envvar=False, show_default=False, **more)


Files = Annotated[
    list[str] | None, typer.Argument(metavar="[FILES]...", help="Documents, or folders of them; - is stdin.")
]
Memory = Annotated[
    Path | None,
    typer.Option(
        "--memory",
        metavar="STATE",
        help="Start from this saved state.",
        show_default=False,
        autocompletion=completion.states,
    ),
]
Pages = Annotated[
    str | None,
    typer.Option(
        "--pages",
        metavar="LIST",
        help="Pages of a PDF to read, like 1-40,55: counted from its first page, not as printed.",
        show_default=False,
    ),
]
Answer = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the answer here, not to stdout.",
        show_default=False,
        callback=writable,
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw the figures as an image (.png, .svg, .pdf).",
        show_default=False,
    ),
]
Seed = Annotated[
    int, whole_number("--seed", least=0, most=LARGEST_SEED, help="Everything that is drawn follows from it.")
]
OwnRule = Annotated[
    Rule | None,
    typer.Option(
        "--rule",
        metavar="NAME",
        help="Update rule: linear, delta or deltanet; the model's own.",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    _setting(
        "--model",
        metavar="NAME",
        help="A recipe's name, a folder, or a hub id owner/name.",
        autocompletion=completion.models,
    ),
]
Reader = Annotated[
    str | None,
    _setting(
        "--reader",
        metavar="NAME",
        help="Model that answers from passages; own: the model itself.",
        autocompletion=completion.models,
    ),
]


@dataclass(frozen=True)
class Talk:
    """How a command talks to the person."""

    format: Annotated[Format, _setting("--format", help="Form of what goes to stdout.")] = Format.TEXT
    quiet: Annotated[bool, _setting("--quiet", "-q", help="No notes and no progress on stderr.")] = False
    verbose: Annotated[bool, _setting("--verbose", "-v", help="Details on stderr, such as the device and why.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", callback=_note_debug)] = (
        False
    )

    @property
    def console(self) -> Console:
        """Where notes and progress go."""
        return Console(quiet=self.quiet, verbose=self.verbose)

    def answer(self, output: str | None, lines: Iterable[str], value: object) -> None:
        """Write an answer to a file or stdout: its lines, or, where JSON is asked for, its value."""
        with answer_file(output) as file:
            if self.format is Format.TEXT:
                file.writelines(f"{line}\n" for line in lines)
            else:
                emit_json(value, file, jsonl=self.format is Format.JSONL)


@dataclass(frozen=True)
class Settings(Talk):
    """Which model runs, and where; no model stands for the default one.

    Attributes:
        model: As the person, the environment or the user's file has it; None for the default recipe.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        dtype: `auto` or the name of a torch dtype.
        weights: See `device.choose_weights`.
    """

    model: Model = None
    device: Annotated[
        str,
        _setting(
            "--device",
            metavar="NAME",
            help="auto, cpu, mps, cuda or cuda:N.",
            autocompletion=completion.one_of(*completion.DEVICES),
            callback=device,
        ),
    ] = "auto"
    dtype: Annotated[Dtype, _setting("--dtype", metavar="NAME", help="auto, bf16, fp16 or fp32.")] = Dtype.AUTO
    weights: Annotated[
        Weights, _setting("--weights", metavar="NAME", help="What answers are decoded with: auto, float32 or int8.")
    ] = Weights.AUTO


@dataclass(frozen=True)
class Reading(Settings):
    """The same for commands that read documents."""

    pdf_backend: Annotated[
        PdfBackend, _setting("--pdf-backend", help="What is asked first for the text of a PDF; pdfium.")
    ] = PdfBackend.PDFIUM
    ocr: Annotated[
        str,
        _setting(
            "--ocr",
            metavar="auto|off|LANG",
            help="Recognise text in scanned pages, in a language such as eng or deu+eng; auto.",
        ),
    ] = "auto"


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """A command in Typer's form: each parameter that is a dataclass of options becomes the options that it has."""
    hints = get_type_hints(command, include_extras=True)
    own = inspect.signature(command).parameters
    groups = {name: hints[name] for name in own if is_dataclass(hints[name])}
    asked = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in own.items()
        if name not in groups
    ]
    for group in groups.values():
        asked += _parameters(group)
    if "ctx" not in own:
        asked.append(inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        ctx = given["ctx"] if "ctx" in own else given.pop("ctx")
        if isinstance(ctx.default_map, UserFile):
            ctx.default_map.require()
        refuse_blank_settings(ctx, given)
        made = {
            name: _settled(ctx, group(**{field.name: given.pop(field.name) for field in fields(group)}))
            for name, group in groups.items()
        }
        command(**given, **made)

    run.__signature__ = inspect.Signature(asked)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in asked}
    return run


def _parameters(group: type) -> Iterator[inspect.Parameter]:
    """What a dataclass is made of, its own fields before those that it shares with others."""
    hints, defaults = get_type_hints(group, include_extras=True), {field.name: field.default for field in fields(group)}
    for part in group.__mro__:
        for name in inspect.get_annotations(part):
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[name], default=defaults[name]
            )


def _settled(ctx: typer.Context, talk: Any) -> Any:
    """The same, but the stronger of quiet and verbose wins, where the one is asked for here and the other there."""
    if not (talk.quiet and talk.verbose):
        return talk
    strongest_first = ("COMMANDLINE", "ENVIRONMENT", "DEFAULT_MAP")
    sources = {
        name: source.name for name in ("quiet", "verbose") if (source := ctx.get_parameter_source(name)) is not None
    }
    if sources["quiet"] == sources["verbose"]:
        raise UsageFailure("quiet and verbose are asked for at once", "Keep one of them.")
    weaker = max(sources, key=lambda name: strongest_first.index(sources[name]))
    return replace(talk, **{weaker: False})


def given(ctx: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line itself."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def named_model(ctx: typer.Context, settings: Settings) -> str | None:
    """The model that the person named for this run; what the environment or the file says does not bind a state."""
    return settings.model if given(ctx, "model") else None


def page_selection(pages: str | None) -> PageSelection | None:
    """The `--pages` option, read."""
    from infini_attention.documents import PageSelection

    return None if pages is None else PageSelection.parse(pages)


def stdin_is_terminal() -> bool:
    """Whether nobody piped anything in."""
    try:
        return sys.stdin is None or sys.stdin.isatty()
    except ValueError:
        return True


def inputs(ctx: typer.Context, files: list[str] | None) -> list[str]:
    """The files given, folders as the documents in them, or stdin where something is piped in; help and exit 2 where
    there is neither."""
    if not files and stdin_is_terminal():
        help_and_exit(ctx)
    if files and files.count("-") > 1:
        raise UsageFailure("stdin can be read only once", "Give - one time.")
    from infini_attention.documents.folder import expand

    return expand(files or ["-"])


def help_and_exit(ctx: typer.Context) -> NoReturn:
    """Show a command's help on stderr, because it was given nothing to work on."""
    typer.echo(ctx.get_help(), err=True)
    raise typer.Exit(EXIT_USAGE)


def help_without_command(ctx: typer.Context) -> None:
    """Callback of a group: its help where none of its commands is named."""
    if ctx.invoked_subcommand is None:
        help_and_exit(ctx)
