"""`infini state`: what is in a saved state, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Annotated, Any

import typer

from infini_cli.commands import options
from infini_cli.output import answer_file, emit_json
from infini_cli.session import open_state

File = Annotated[Path, typer.Argument(metavar="STATE", help="A state that `infini read` wrote.")]

app = typer.Typer(help="Show and verify saved states.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def root(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        options.help_and_exit(ctx)


@app.command()
def show(
    file: File,
    output: options.Answer = None,
    format: options.Format = None,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Show a state's model, what it has read, and its size."""
    run = options.start(format=format, quiet=quiet, verbose=verbose)
    value = _facts(file)
    with answer_file(output) as out:
        if run.settings.format == "text":
            _print(value, out, details=run.settings.verbose)
        else:
            emit_json({"schema": "infini.state/1", **value}, out, jsonl=run.settings.format == "jsonl")


@app.command()
def verify(
    file: File,
    output: options.Answer = None,
    format: options.Format = None,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Check that a state is whole and unaltered: exit 0 if it is, 5 if not."""
    run = options.start(format=format, quiet=quiet, verbose=verbose)
    digest = open_state(file).header()["digest"]
    with answer_file(output) as out:
        if run.settings.format == "text":
            out.write(f"{file}: whole and unaltered\n")
        else:
            value = {"schema": "infini.state/1", "file": str(file), "verified": True, "digest": digest}
            emit_json(value, out, jsonl=run.settings.format == "jsonl")


def _facts(path: Path) -> dict[str, Any]:
    state = open_state(path)
    header = state.header()
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "memory_bytes": state.memory_bytes,
        **{key: header[key] for key in ("format", "version", "origin", "tokens", "segments", "sources", "digest")},
    }


def _print(value: dict[str, Any], out: IO[str], *, details: bool) -> None:
    origin = value["origin"]
    out.write(f"file: {value['file']}, {value['bytes']:,} bytes, memories {value['memory_bytes']:,} bytes\n")
    out.write(f"model: {origin['model']}\n")
    out.write(f"read: {value['tokens']:,} tokens, {value['segments']:,} segments closed\n")
    for source in value["sources"]:
        pages = "" if source["pages"] is None else f"{source['pages']} pages, "
        out.write(f"source: {source['name']} ({source['kind']}), {pages}{source['tokens']:,} tokens\n")
        if details:
            out.write(f"  sha256 {source['sha256']}, by {source['extractor']}\n")
    if details:
        for part in ("base", "adapter", "config"):
            out.write(f"{part}: {origin[part]}\n")
        out.write(f"digest: {value['digest']}\n")
