"""`infini ask`: questions to what was read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from infini_attention.documents.folder import expand
from infini_attention.errors import InputError, UsageFailure

from infini_cli import options
from infini_cli.opening import open_documents, open_session, open_state, require_memory
from infini_cli.output import answer_file, emit_json
from infini_cli.values import whole_number

if TYPE_CHECKING:
    from infini_attention.memory.reading_journal import ReadingJournal

Question = Annotated[str | None, typer.Argument(help="The question; piped in, one a line, if left out.")]
File = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", metavar="FILE", help="Ask about this document; may be given several times."),
]
Update = Annotated[bool, typer.Option("--update", help="Write questions and answers (and files read) into the state.")]
MemoryOnly = Annotated[
    bool, typer.Option("--memory-only", help="Do not look back at the text: answer from the memory alone.")
]
ShowSources = Annotated[
    bool, typer.Option("--show-sources", help="Print the sentences that speak for the answer, too.")
]
MaxTokens = Annotated[int, whole_number("--max-tokens", help="Tokens after which an answer ends.")]


@options.expanded
def ask(
    ctx: typer.Context,
    question: Question = None,
    memory: options.Memory = None,
    file: File = None,
    pages: options.Pages = None,
    update: Update = False,
    memory_only: MemoryOnly = False,
    show_sources: ShowSources = False,
    max_tokens: MaxTokens = 128,
    reader: options.Reader = None,
    output: options.Answer = None,
    *,
    settings: options.Reading,
) -> None:
    """Ask about what a saved state has read, or about documents.

    The answer comes from passages of the text, which the state carries along, and from the memory; where the passages
    stand follows in brackets.

    Without a question, on a terminal, questions are asked one after the other until Ctrl-D. They may be piped in, one a
    line: the answers are JSON lines then, unless --format says otherwise. A document may be piped in instead, where the
    question is an argument and neither --memory nor --file is given. The state stays as it is, unless --update is
    given.
    """
    if update and memory is None:
        raise UsageFailure("--update needs a state to write to", "Name it with --memory.")
    if (memory_only or update) and (memory is None or options.given(ctx, "model")):
        require_memory(settings)
    sources = _sources(ctx, question, memory, file)
    talking = question is None and options.stdin_is_terminal()
    form = settings.format if question is not None or talking or options.given(ctx, "format") else options.Format.JSONL
    selection = options.page_selection(pages)
    lock = _lock(ctx, memory) if update and memory is not None else None
    state = None if memory is None else open_state(memory)
    questions = [] if talking else _piped() if question is None else [_checked(question)]
    documents = open_documents(sources, selection, settings.console, settings.pdf_backend, settings.ocr)
    session = open_session(
        settings,
        settings.console,
        state,
        options.named_model(ctx, settings),
        by_text=not (memory_only or update),
        reader=reader,
    )
    from infini_cli.asking import Asker
    from infini_cli.dialogue import talk

    session.add(documents)
    asker = Asker(
        session,
        max_tokens=max_tokens,
        look_back=not memory_only,
        show_sources=show_sources,
        update=lock,
    )
    with answer_file(output) as out:
        if talking:
            talk(asker, settings.console, form, out)
        elif form == "json":
            answers = [asker.record(asked) for asked in questions]
            emit_json(_one_or_many(answers, question is not None), out)
        else:
            for asked in questions:
                asker.answer(asked, form, out)


def _lock(ctx: typer.Context, memory: Path) -> ReadingJournal | None:
    """The lock on a state, until the command ends: from when it is read to when it is written, it is nobody else's."""
    from infini_attention.memory.reading_journal import ReadingJournal

    return ctx.with_resource(ReadingJournal(memory)) if memory.is_file() else None


def _sources(ctx: typer.Context, question: str | None, memory: Path | None, file: list[str] | None) -> list[str]:
    """The documents to ask about; help and exit 2 where there is nothing to ask, or nothing to ask about."""
    sources = expand(file or [])
    if memory is None and not sources:
        sources = options.inputs(ctx, None) if question is not None else options.help_and_exit(ctx)
    if question is None and "-" in sources:
        options.help_and_exit(ctx)
    return sources


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
