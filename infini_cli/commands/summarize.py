"""`infini summarize`: documents, or a state, to a summary."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from infini_cli import prompts
from infini_cli.answering import Turn, tell_limit, tokens_for
from infini_cli.commands import options
from infini_cli.documents.folder import expand
from infini_cli.errors import UsageFailure
from infini_cli.output import answer_file, emit_json, write_answer
from infini_cli.session import open_documents, open_session, open_state

WORDS = {"short": 60, "medium": 150, "long": 400}


def summarize(
    ctx: typer.Context,
    files: options.Files = None,
    memory: options.Memory = None,
    length: Annotated[
        str, typer.Option("--length", metavar="short|medium|long|N", help="How long; a number is words.")
    ] = "medium",
    pages: options.Pages = None,
    output: options.Answer = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    format: options.Format = None,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Summarise documents, piped text, or what a saved state has read.

    With --memory, files are read on top of the state, which stays as it is; stdin is read only where it is given as -.
    """
    run = options.start(model=model, device=device, dtype=dtype, format=format, quiet=quiet, verbose=verbose)
    words = _words(length)
    instruction = prompts.fill("summarize", words=words)
    sources = expand(files or []) if memory is not None else options.inputs(ctx, files)
    selection = options.page_selection(pages)
    state = None if memory is None else open_state(memory)
    documents = open_documents(sources, selection, run.console)
    session = open_session(run.settings, run.console, state, model)
    session.read(documents)
    # A small model likes to stop after a sentence, however many words it was asked for.
    turn = Turn(session.loaded, instruction, tokens_for(words), least=words // 2)
    pieces = turn.pieces(session.engine)
    with answer_file(output) as file:
        if run.settings.format == "text":
            write_answer(pieces, file)
        else:
            value = {
                "schema": "infini.summarize/1",
                "summary": "".join(pieces).strip(),
                "limit_reached": turn.limit_reached,
                "model": session.loaded.origin.model,
                "tokens": session.engine.tokens_read,
                "segments": session.engine.cache.segments,
                "sources": [dataclasses.asdict(source) for source in session.sources],
            }
            emit_json(value, file, jsonl=run.settings.format == "jsonl")
    tell_limit(turn, run.console, "--length")


def _words(length: str) -> int:
    if length in WORDS:
        return WORDS[length]
    if length.isascii() and length.isdigit() and int(length) > 0:
        return int(length)
    raise UsageFailure(f"'{length}' is not a length", "Use short, medium, long, or a number of words.")
