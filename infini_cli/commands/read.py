"""`infini read`: documents into a memory state."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from infini_cli.commands import options
from infini_cli.dumping import dump
from infini_cli.errors import EXIT_INTERRUPTED, UsageFailure
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
        Path | None,
        typer.Option(
            "--output", "-o", metavar="STATE", help="Where the state goes (.pt or .safetensors).", show_default=False
        ),
    ] = None,
    files: options.Files = None,
    memory: options.Memory = None,
    pages: options.Pages = None,
    pdf_backend: options.PdfBackend = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave the text out of the state: ask cannot look back then.")
    ] = False,
    dump_text: Annotated[
        bool,
        typer.Option("--dump-text", help="Print the text that the model would see, and stop; json adds the places."),
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

    With --dump-text no model is loaded and no state is made: the text goes to stdout exactly as the model would see it,
    and with --format json in blocks, each with its page, the page's printed label and its heading.
    """
    run = options.start(
        model=model,
        device=device,
        dtype=dtype,
        format=format,
        quiet=quiet,
        verbose=verbose,
        pdf_backend=pdf_backend,
    )
    sources = options.inputs(ctx, files)
    selection = options.page_selection(pages)
    if dump_text:
        if output is not None or memory is not None:
            raise UsageFailure("--dump-text prints text and makes no state", "Leave -o and --memory out.")
        dump(open_documents(sources, selection, run.console, run.settings.pdf_backend), run.settings.format)
        return
    if output is None:
        raise UsageFailure("no --output is given for the state", "Name a file with -o, such as state.pt.")
    check_state_output(output, sources)
    state = None if memory is None else open_state(memory)
    documents = open_documents(sources, selection, run.console, run.settings.pdf_backend)
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
