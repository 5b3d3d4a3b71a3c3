"""`infini summarize`: documents, or a state, to a summary."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from infini_attention.documents.folder import expand
from infini_attention.errors import UsageFailure

from infini_cli import options
from infini_cli.opening import open_documents, open_session, open_state
from infini_cli.output import answer_file

LENGTHS = {"short": 60, "medium": 150, "long": 400}
MOST_WORDS = 100_000


class Style(StrEnum):
    """Forms of a summary."""

    PARAGRAPH = "paragraph"
    BULLETS = "bullets"
    OUTLINE = "outline"


Length = Annotated[str, typer.Option("--length", metavar="short|medium|long|N", help="How long; a number is words.")]
InStyle = Annotated[Style, typer.Option("--style", help="An outline has a note for each chapter.")]
PerChapter = Annotated[
    bool, typer.Option("--per-chapter", help="A line for each chapter first, as soon as it is read.")
]
Focus = Annotated[str | None, typer.Option("--focus", metavar="QUESTION", help="Tell above all what speaks of this.")]


@options.expanded
def summarize(
    ctx: typer.Context,
    files: options.Files = None,
    memory: options.Memory = None,
    length: Length = "medium",
    style: InStyle = Style.PARAGRAPH,
    per_chapter: PerChapter = False,
    focus: Focus = None,
    pages: options.Pages = None,
    output: options.Answer = None,
    *,
    settings: options.Reading,
) -> None:
    """Summarise documents, piped text, or what a saved state has read.

    Each chapter leaves a note, and the whole is made from the notes. A model that was trained for notes goes by each
    chapter's text; another one reads the whole into memory, and takes notes meanwhile. Every sentence is checked against
    the text: where its names, its numbers or most of its words do not occur there, it is dropped. With --memory, files
    come after what the state has read, which stays as it is; stdin is read only where it is given as -.
    """
    from infini_cli.summarising import from_memory, write_summary

    words, form, console = _words(length), settings.format, settings.console
    sources = expand(files or []) if memory is not None else options.inputs(ctx, files)
    selection = options.page_selection(pages)
    state = None if memory is None else open_state(memory)
    documents = open_documents(sources, selection, console, settings.pdf_backend, settings.ocr)
    session = open_session(settings, console, state, options.named_model(ctx, settings), by_text=True)
    if state is not None and not session.texts:
        console.note("the state carries no text: what it read is summarised from its memory alone, unchecked")
    with answer_file(output) as file:
        if documents or session.texts:
            session.add(documents)
            write_summary(session, session.summarizer(words, style=style, focus=focus), per_chapter, form, file)
        else:
            from_memory(session, words, form, file)


def _words(length: str) -> int:
    if length in LENGTHS:
        return LENGTHS[length]
    if length.isascii() and length.isdigit() and len(length) < 10 and 0 < int(length) <= MOST_WORDS:
        return int(length)
    raise UsageFailure(
        f"'{length}' is not a length", f"Use short, medium, long, or a number of words, at most {MOST_WORDS}."
    )
