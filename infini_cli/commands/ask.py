"""`infini ask`: questions to what was read."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from infini_cli import prompts
from infini_cli.answering import Turn, tell_limit
from infini_cli.commands import options
from infini_cli.errors import InputError, UsageFailure
from infini_cli.lookback import citations
from infini_cli.lookback.answer import Answer
from infini_cli.lookback.kept import KeptText
from infini_cli.output import answer_file, emit_json, write_answer
from infini_cli.session import Session, open_documents, open_session, open_state

if TYPE_CHECKING:
    from infini_attention import Source

    from infini_cli.lookback.finder import LookBack


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
    memory_only: Annotated[
        bool, typer.Option("--memory-only", help="Do not look back at the text: answer from the memory alone.")
    ] = False,
    show_sources: Annotated[
        bool, typer.Option("--show-sources", help="Print the sentences that the answer rests on, too.")
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

    The answer is recalled from memory, then looked up in the text that the state carries along; where it stands follows
    in brackets.

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
    back = _look_back(session, run, memory_only)
    answers = []
    with answer_file(output) as out:
        for asked in questions:
            answer = Answer(session.loaded, asked, prompts.fill("ask", question=asked), max_tokens, back)
            pieces = answer.pieces(session.engine)
            if form == "text":
                write_answer(_cited(pieces, answer, session.texts), out)
                if show_sources:
                    _print_sources(answer, session.texts, out)
            else:
                answers.append(_record(asked, "".join(pieces).strip(), answer, session.texts))
                if form == "jsonl":
                    emit_json(answers[-1], out, jsonl=True)
            tell_limit(answer.turn, run.console, "--max-tokens")
            if update and memory is not None:
                session.remember(answer.turn.transcript(), _source(asked, answer.turn))
                session.snapshot().save(memory)
                run.console.note(f"{memory}: the question and its answer were added")
        if form == "json":
            emit_json(_one_or_many(answers, question is not None), out)


def _look_back(session: Session, run: options.Run, memory_only: bool) -> LookBack | None:
    if not memory_only and not session.texts:
        run.console.note("the state carries no text to look back at: answers come from the memory alone")
    if memory_only or not session.texts:
        return None
    from infini_cli.lookback.finder import LookBack

    return LookBack(session.loaded, session.texts)


def _cited(pieces: Iterator[str], answer: Answer, texts: Sequence[KeptText]) -> Iterator[str]:
    """The answer and, at its end, where it stands."""
    held = ""
    for piece in pieces:
        text = held + piece
        held = text[len(text.rstrip()) :]
        yield text.rstrip()
    if answer.found:
        yield f" {citations.line(answer.found, texts)}"


def _print_sources(answer: Answer, texts: Sequence[KeptText], out: IO[str]) -> None:
    for found, sentence in answer.evidence():
        out.write(f"  {citations.place(found.passage, texts)}: {sentence.text}\n")


def _record(question: str, text: str, answer: Answer, texts: Sequence[KeptText]) -> dict[str, Any]:
    return {
        "schema": "infini.ask/1",
        "question": question,
        "answer": text,
        "looked_back": answer.back is not None,
        "sources": citations.record(answer.found, texts),
        "limit_reached": answer.turn.limit_reached,
        "model": answer.loaded.origin.model,
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
