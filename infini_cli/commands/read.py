"""`infini read`: documents into a memory state."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from infini_cli.commands import options
from infini_cli.errors import EXIT_INTERRUPTED
from infini_cli.output import answer_file, emit_json
from infini_cli.reading import ReadingInterrupted
from infini_cli.session import (
    check_state_output,
    open_documents,
    open_session,
    open_state,
)


def read(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="STATE", help="Where the state goes (.pt or .safetensors).")
    ],
    files: options.Files = None,
    memory: options.Memory = None,
    pages: options.Pages = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave the text out of the state: ask cannot look back then.")
    ] = False,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    format: options.Format = None,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Read documents into a memory state, which `ask` and `summarize` start from.

    Several files are read in order. With --memory, reading goes on from an earlier state. After Ctrl-C the state holds
    what was read until then, and a note says how to go on.
    """
    run = options.start(model=model, device=device, dtype=dtype, format=format, quiet=quiet, verbose=verbose)
    sources = options.inputs(ctx, files)
    check_state_output(output, sources)
    selection = options.page_selection(pages)
    state = None if memory is None else open_state(memory)
    documents = open_documents(sources, selection, run.console)
    session = open_session(run.settings, run.console, state, model, keep_text=not no_text)
    try:
        session.read(documents)
    except ReadingInterrupted as interruption:
        if not interruption.tokens:
            run.console.note("interrupted before anything was read: no state was written")
            raise
        session.snapshot().save(output)
        for note in _how_to_go_on(interruption, sources, output):
            run.console.note(note)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except KeyboardInterrupt:
        run.console.note("interrupted: no state was written")
        raise
    saved = session.snapshot()
    saved.save(output)
    size = output.stat().st_size / 1e6
    run.console.note(
        f"{output}: {saved.tokens:,} tokens, {saved.segments:,} segments closed and one open; {size:.1f} MB"
    )
    if run.settings.format != "text":
        header = saved.header()
        value = {"schema": "infini.read/1", "state": str(output), "model": saved.origin.model}
        value |= {key: header[key] for key in ("tokens", "segments", "sources")}
        with answer_file(None) as file:
            emit_json(value, file, jsonl=run.settings.format == "jsonl")


def _how_to_go_on(interruption: ReadingInterrupted, sources: list[str], output: Path) -> list[str]:
    tokens = f"read {interruption.tokens:,} of {interruption.total:,} tokens"
    left = sources[len(sources) - interruption.left :]
    stopped = sources[len(sources) - interruption.left - 1]
    go_on = f"--memory {output} -o {output}"
    notes = []
    if interruption.pages is not None:
        first, last = interruption.pages
        tokens += f", into page {first} of {stopped}"
        notes.append(f"to go on: infini read {shlex.quote(stopped)} --pages {first}-{last} {go_on}")
    elif interruption.last_words is not None:
        tokens += f", into {stopped}; the last words read are: {interruption.last_words}"
        notes.append(f"to go on: save what follows them as a file, then: infini read FILE {go_on}")
    if left:
        notes.append(f"not begun: infini read {shlex.join(left)} {go_on}")
    return [f"interrupted: {tokens}; state in {output}", *notes]
