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
Cite = Annotated[bool, typer.Option("--cite", help="Put its page behind each sentence.")]
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
    cite: Cite = False,
    pages: options.Pages = None,
    output: options.Answer = None,
    *,
    settings: options.Reading,
) -> None:
    """Summarise documents, piped text, or what a saved state has read.

    A summary is made of the text's own sentences: of each section those that stand for it, of these a chapter's, and of
    these the whole. A "he" or "she" at a sentence's beginning gives way to the name where it is clear whose it is. What a
    saved state has read is summarised from the notes in it. With --memory, files come after what the state has read,
    which stays as it is; stdin is read only where it is given as -.
    """
    from infini_cli.summarising import Wish, from_memory, write_summary

    words, form, console = _words(length), settings.format, settings.console
    sources = expand(files or []) if memory is not None else options.inputs(ctx, files)
    selection = options.page_selection(pages)
    model = options.named_model(ctx, settings)
    if model is not None:
        from infini_attention.model.recipe import find

        # It is not loaded, but a name that is none is a mistake.
        find(model)
    state = None if memory is None else open_state(memory)
    documents = open_documents(sources, selection, console, settings.pdf_backend, settings.ocr)
    session = open_session(settings, console, state, model, by_text=True, when_needed=True)
    session.add(documents)
    with answer_file(output) as file:
        if session.all_texts:
            write_summary(session, Wish(words, style, focus, per_chapter, cite), form, file)
        else:
            console.note("the state carries no text: what it read is summarised from its memory alone, unchecked")
            from_memory(session, words, form, file)


def _words(length: str) -> int:
    if length in LENGTHS:
        return LENGTHS[length]
    if length.isascii() and length.isdigit() and len(length) < 10 and 0 < int(length) <= MOST_WORDS:
        return int(length)
    raise UsageFailure(
        f"'{length}' is not a length", f"Use short, medium, long, or a number of words, at most {MOST_WORDS}."
    )
