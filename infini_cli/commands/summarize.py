"""`infini summarize`: documents, or a state, to a summary."""

from __future__ import annotations

from typing import Annotated

import typer
from infini_attention.documents.folder import expand
from infini_attention.errors import UsageFailure

from infini_cli.commands import options
from infini_cli.output import answer_file
from infini_cli.session import open_documents, open_session, open_state

LENGTHS = {"short": 60, "medium": 150, "long": 400}


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

    Each chapter leaves a note, and the whole is made from the notes. A model that was trained for notes goes by each
    chapter's text; another one reads the whole into memory, and takes notes meanwhile. Every sentence is checked against
    the text: where its names, its numbers or most of its words do not occur there, it is dropped. With --memory, files
    come after what the state has read, which stays as it is; stdin is read only where it is given as -.
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
    from infini_attention.summary.summarizer import STYLES

    from infini_cli.summarising import from_memory, write_summary

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
    with answer_file(output) as file:
        if documents or session.texts:
            session.add(documents)
            summarizer = session.summarizer(words, style=style, focus=focus)
            write_summary(session, summarizer, per_chapter, run.settings.format, file)
        else:
            from_memory(session, words, run.settings.format, file)


def _words(length: str) -> int:
    if length in LENGTHS:
        return LENGTHS[length]
    if length.isascii() and length.isdigit() and int(length) > 0:
        return int(length)
    raise UsageFailure(f"'{length}' is not a length", "Use short, medium, long, or a number of words.")
