"""`infini ask`: questions to what was read."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infini_cli import prompts
from infini_cli.answering import Turn, tell_limit
from infini_cli.commands import options
from infini_cli.errors import InputError, UsageFailure
from infini_cli.output import answer_file, emit_json, write_answer
from infini_cli.session import open_documents, open_session, open_state

if TYPE_CHECKING:
    from infini_attention import Source


def ask(
    ctx: typer.Context,
    question: Annotated[str | None, typer.Argument(help="The question; piped in, one a line, if left out.")] = None,
    memory: options.Memory = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", metavar="FILE", help="Read this document first; may be given several times."),
    ] = None,
    pages: options.Pages = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write questions and answers (and files read) into the state.")
    ] = False,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="Tokens after which an answer ends.")
    ] = 128,
    output: options.Answer = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    format: options.Format = None,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Ask about what a saved state has read, or about documents.

    Questions may be piped in, one a line: the answers are JSON lines then, unless --format says otherwise. A document
    may be piped in instead, where the question is an argument and neither --memory nor --file is given. The state
    stays as it is, unless --update is given.
    """
    run = options.start(model=model, device=device, dtype=dtype, format=format, quiet=quiet, verbose=verbose)
    if update and memory is None:
        raise UsageFailure("--update needs a state to write to", "Name it with --memory.")
    sources = file or []
    if memory is None and not sources:
        sources = options.inputs(ctx, None) if question is not None else options.help_and_exit(ctx)
    if question is None and ("-" in sources or options.stdin_is_terminal()):
        options.help_and_exit(ctx)
    form = run.settings.format if question is not None or format is not None else "jsonl"
    selection = options.page_selection(pages)
    state = None if memory is None else open_state(memory)
    questions = _piped() if question is None else [_checked(question)]
    documents = open_documents(sources, selection, run.console)
    session = open_session(run.settings, run.console, state, model)
    session.read(documents)
    answers = []
    with answer_file(output) as out:
        for asked in questions:
            turn = Turn(session.loaded, prompts.fill("ask", question=asked), max_tokens)
            pieces = turn.pieces(session.engine)
            if form == "text":
                write_answer(pieces, out)
            else:
                answers.append(_record(asked, "".join(pieces).strip(), turn))
                if form == "jsonl":
                    emit_json(answers[-1], out, jsonl=True)
            tell_limit(turn, run.console, "--max-tokens")
            if update and memory is not None:
                session.remember(turn.transcript(), _source(asked, turn))
                session.snapshot().save(memory)
                run.console.note(f"{memory}: the question and its answer were added")
        if form == "json":
            emit_json(_one_or_many(answers, question is not None), out)


def _record(question: str, answer: str, turn: Turn) -> dict[str, Any]:
    return {
        "schema": "infini.ask/1",
        "question": question,
        "answer": answer,
        "limit_reached": turn.limit_reached,
        "model": turn.loaded.origin.model,
    }


def _one_or_many(answers: list[dict[str, Any]], one: bool) -> dict[str, Any]:
    if one:
        return answers[0]
    return {"schema": "infini.ask/1", "answers": [{k: v for k, v in a.items() if k != "schema"} for a in answers]}


def _source(question: str, turn: Turn) -> Source:
    from infini_attention import Source

    digest = hashlib.sha256(question.encode()).hexdigest()
    return Source("question and answer", "dialogue", digest, None, len(turn.transcript()), "infini ask")


def _checked(question: str) -> str:
    if not question.strip():
        raise UsageFailure("the question is empty", 'Write it in quotes: infini ask --memory state.pt "Who ...?"')
    return question.strip()


def _piped() -> list[str]:
    try:
        lines = sys.stdin.buffer.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError("the questions on stdin are not UTF-8 text", "Save them as UTF-8, one a line.") from None
    questions = [line.strip() for line in lines if line.strip()]
    if not questions:
        raise InputError("there is no question on stdin", "Pipe questions in, one a line, or give one as an argument.")
    return questions
