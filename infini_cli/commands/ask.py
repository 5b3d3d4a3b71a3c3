"""`infini ask`: questions to what was read."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from infini_attention.documents.folder import expand
from infini_attention.errors import InputError, UsageFailure

from infini_cli.commands import options
from infini_cli.output import answer_file, emit_json
from infini_cli.session import open_documents, open_session, open_state, require_memory


def ask(
    ctx: typer.Context,
    question: Annotated[str | None, typer.Argument(help="The question; piped in, one a line, if left out.")] = None,
    memory: options.Memory = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", metavar="FILE", help="Ask about this document; may be given several times."),
    ] = None,
    pages: options.Pages = None,
    pdf_backend: options.PdfBackend = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write questions and answers (and files read) into the state.")
    ] = False,
    memory_only: Annotated[
        bool, typer.Option("--memory-only", help="Do not look back at the text: answer from the memory alone.")
    ] = False,
    show_sources: Annotated[
        bool, typer.Option("--show-sources", help="Print the sentences that speak for the answer, too.")
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

    The answer comes from passages of the text, which the state carries along, and from the memory; where the passages
    stand follows in brackets.

    Without a question, on a terminal, questions are asked one after the other until Ctrl-D. They may be piped in, one a
    line: the answers are JSON lines then, unless --format says otherwise. A document may be piped in instead, where the
    question is an argument and neither --memory nor --file is given. The state stays as it is, unless --update is
    given.
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
    if update and memory is None:
        raise UsageFailure("--update needs a state to write to", "Name it with --memory.")
    if (memory_only or update) and (memory is None or model is not None):
        require_memory(run.settings)
    sources = expand(file or [])
    if memory is None and not sources:
        sources = options.inputs(ctx, None) if question is not None else options.help_and_exit(ctx)
    talking = question is None and options.stdin_is_terminal()
    if question is None and "-" in sources:
        options.help_and_exit(ctx)
    one_by_one = question is not None or talking
    form = run.settings.format if one_by_one or format is not None else "jsonl"
    selection = options.page_selection(pages)
    state = None if memory is None else open_state(memory)
    questions = [] if talking else _piped() if question is None else [_checked(question)]
    documents = open_documents(sources, selection, run.console, run.settings.pdf_backend)
    session = open_session(run.settings, run.console, state, model)
    from infini_cli.asking import Asker
    from infini_cli.dialogue import talk

    session.add(documents)
    asker = Asker(
        session,
        max_tokens=max_tokens,
        look_back=not memory_only,
        show_sources=show_sources,
        update=memory if update else None,
    )
    with answer_file(output) as out:
        if talking:
            talk(asker, run.console, form, out)
        elif form == "json":
            answers = [asker.record(asked) for asked in questions]
            emit_json(_one_or_many(answers, question is not None), out)
        else:
            for asked in questions:
                asker.answer(asked, form, out)


def _one_or_many(answers: list[dict[str, Any]], one: bool) -> dict[str, Any]:
    if one:
        return answers[0]
    from infini_cli.asking import SCHEMA

    return {"schema": SCHEMA, "answers": [{k: v for k, v in a.items() if k != "schema"} for a in answers]}


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
