"""Options that subcommands share, and what a run is made of."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from infini_attention.errors import UsageFailure

from infini_cli import completion, settings
from infini_cli.errors import EXIT_USAGE
from infini_cli.output import Console

if TYPE_CHECKING:
    from infini_attention.documents import PageSelection


@dataclass
class Flags:
    """What `main` has to know of the options once a command has failed."""

    debug: bool = False


@dataclass(frozen=True)
class Run:
    """What every command goes by: its settings and where it talks to the person."""

    settings: settings.Settings
    console: Console


def _note_debug(ctx: typer.Context, value: bool) -> bool:
    root = ctx.find_root()
    if value and isinstance(root.obj, Flags):
        root.obj.debug = True
    return value


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
PdfBackend = Annotated[
    str | None,
    typer.Option(
        "--pdf-backend", metavar="pypdf|pdfium", help="What takes the text out of a PDF; pypdf.", show_default=False
    ),
]
Answer = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the answer here, not to stdout.", show_default=False),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A recipe's name, a folder, or a hub id owner/name.",
        show_default=False,
        autocompletion=completion.models,
    ),
]
Rule = Annotated[
    str | None,
    typer.Option(
        "--rule",
        metavar="NAME",
        help="Update rule: linear, delta or deltanet; the model's own.",
        show_default=False,
        autocompletion=completion.one_of(*completion.RULES),
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="auto, cpu, mps, cuda or cuda:N.",
        show_default=False,
        autocompletion=completion.one_of(*completion.DEVICES),
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="NAME",
        help="auto, bf16, fp16 or fp32.",
        show_default=False,
        autocompletion=completion.one_of(*completion.DTYPES),
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="text|json|jsonl",
        help="Form of what goes to stdout.",
        show_default=False,
        autocompletion=completion.one_of(*settings.FORMATS),
    ),
]
Quiet = Annotated[
    bool | None, typer.Option("--quiet", "-q", help="No notes and no progress on stderr.", show_default=False)
]
Verbose = Annotated[
    bool | None,
    typer.Option("--verbose", "-v", help="Details on stderr, such as the device and why.", show_default=False),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", callback=_note_debug)]


def start(
    *,
    model: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    format: str | None = None,
    as_json: bool = False,
    quiet: bool | None = None,
    verbose: bool | None = None,
    pdf_backend: str | None = None,
) -> Run:
    """Settings and console of a run, from its flags, the environment and the user's file.

    Args:
        as_json: Stands above `format`.
    """
    values = settings.load(
        model=model,
        device=device,
        dtype=dtype,
        format="json" if as_json else format,
        quiet=quiet,
        verbose=verbose,
        pdf_backend=pdf_backend,
    )
    return Run(values, Console(quiet=values.quiet, verbose=values.verbose))


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
