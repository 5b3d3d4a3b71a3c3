"""`infini summarize`: documents, or a state, to a summary."""

from __future__ import annotations

import dataclasses
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from infini_cli import prompts
from infini_cli.answering import Turn, tell_limit, tokens_for
from infini_cli.commands import options
from infini_cli.documents.folder import expand
from infini_cli.errors import UsageFailure
from infini_cli.lookback.citations import place_record
from infini_cli.output import answer_file, emit_json, write_answer
from infini_cli.session import Session, open_documents, open_session, open_state

if TYPE_CHECKING:
    from infini_cli.summaries.notes import Note
    from infini_cli.summaries.taking import NoteTaker

LENGTHS = {"short": 60, "medium": 150, "long": 400}
STYLES = ("paragraph", "bullets", "outline")
# The least that an outline's note is worth.
LEAST_NOTE = 15


def summarize(
    ctx: typer.Context,
    files: options.Files = None,
    memory: options.Memory = None,
    length: Annotated[
        str, typer.Option("--length", metavar="short|medium|long|N", help="How long; a number is words.")
    ] = "medium",
    style: Annotated[
        str,
        typer.Option("--style", metavar="paragraph|bullets|outline", help="An outline has a note for each chapter."),
    ] = "paragraph",
    per_chapter: Annotated[
        bool, typer.Option("--per-chapter", help="A line for each chapter first, as soon as it is read.")
    ] = False,
    focus: Annotated[
        str | None, typer.Option("--focus", metavar="QUESTION", help="Tell above all what speaks of this.")
    ] = None,
    pages: options.Pages = None,
    pdf_backend: options.PdfBackend = None,
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

    Each chapter leaves a note while it is read, and the whole is made from the notes. Every sentence is checked against
    the text: where its names, its numbers or most of its words do not occur there, it is dropped. With --memory, files
    are read on top of the state, which stays as it is; stdin is read only where it is given as -.
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
    words = _words(length)
    if style not in STYLES:
        raise UsageFailure(f"'{style}' is not a style", f"Use one of {', '.join(STYLES)}.")
    sources = expand(files or []) if memory is not None else options.inputs(ctx, files)
    selection = options.page_selection(pages)
    state = None if memory is None else open_state(memory)
    documents = open_documents(sources, selection, run.console, run.settings.pdf_backend)
    session = open_session(run.settings, run.console, state, model)
    if state is not None and not session.texts:
        run.console.note("the state carries no text: what it read is summarised from its memory alone, unchecked")
        if not documents:
            with answer_file(output) as file:
                _from_memory(session, words, file, run)
            return
    from infini_cli.summaries.notes import WORDS, Writer
    from infini_cli.summaries.taking import NoteTaker
    from infini_cli.summaries.whole import summary

    outline, text = style == "outline", run.settings.format == "text"
    writer = Writer(session.loaded, focus)
    with answer_file(output) as file:

        def told(note: Note) -> None:
            label = taker.label(note.chapter)
            if text and outline:
                file.write("".join([f"{label}\n", *(f"  - {sentence}\n" for sentence in note.sentences)]))
            elif text and per_chapter:
                file.write(f"{label}: {note.text}\n")
            else:
                run.console.detail(f"{label}: {note.text}")
            file.flush()

        taker = NoteTaker(
            session,
            documents,
            writer,
            lambda chapters: max(LEAST_NOTE, words // chapters) if outline else WORDS,
            told,
        )
        notes = taker.take()
        whole = [] if outline else summary(writer, session.engine, notes, words)
        if not text:
            emit_json(
                {
                    **_base(session),
                    "summary": "\n".join(note.text for note in notes) if outline else _styled(whole, style),
                    "chapters": [_record(taker, note) for note in notes],
                    "sentences": dataclasses.asdict(writer.tally),
                },
                file,
                jsonl=run.settings.format == "jsonl",
            )
        elif not outline:
            file.write(("\n" if per_chapter else "") + _styled(whole, style) + "\n")
    tally = writer.tally
    run.console.detail(
        f"{tally.kept} of {tally.written} sentences that the model wrote are borne out by the text and kept"
    )


def _styled(sentences: list[str], style: str) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences) if style == "bullets" else " ".join(sentences)


def _record(taker: NoteTaker, note: Note) -> dict[str, Any]:
    return {
        "source": taker.names[note.chapter.source],
        "title": note.chapter.title,
        **place_record(note.chapter.span),
        "note": note.text,
    }


def _base(session: Session) -> dict[str, Any]:
    return {
        "schema": "infini.summarize/1",
        "model": session.loaded.origin.model,
        "tokens": session.engine.tokens_read,
        "segments": session.engine.cache.segments,
        "sources": [dataclasses.asdict(source) for source in session.sources],
    }


def _from_memory(session: Session, words: int, file: IO[str], run: options.Run) -> None:
    # A small model likes to stop after a sentence, however many words it was asked for.
    instruction = prompts.fill("summarize", words=words)
    turn = Turn(session.loaded, instruction, tokens_for(words), least=words // 2)
    pieces = turn.pieces(session.engine)
    if run.settings.format == "text":
        write_answer(pieces, file)
    else:
        value = {**_base(session), "summary": "".join(pieces).strip(), "chapters": [], "sentences": None}
        emit_json(value, file, jsonl=run.settings.format == "jsonl")
    tell_limit(turn, run.console, "--length")


def _words(length: str) -> int:
    if length in LENGTHS:
        return LENGTHS[length]
    if length.isascii() and length.isdigit() and int(length) > 0:
        return int(length)
    raise UsageFailure(f"'{length}' is not a length", "Use short, medium, long, or a number of words.")
