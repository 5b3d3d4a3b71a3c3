"""A summary of what a session has read, and of documents that wait: as text or as JSON."""

from __future__ import annotations

import dataclasses
from typing import IO, Any

from infini_attention.model import prompts
from infini_attention.qa.cite import place_record
from infini_attention.qa.turn import Turn, tokens_for
from infini_attention.session import Session
from infini_attention.summary.chapters import chapters
from infini_attention.summary.summarizer import OUTLINE, ChapterSummary, told

from infini_cli.asking import tell_limit
from infini_cli.noting import sentence_record
from infini_cli.output import emit_json, write_answer

SCHEMA = "infini.summarize/2"


@dataclasses.dataclass(frozen=True)
class Wish:
    """How somebody wants a summary.

    Attributes:
        words: About how many.
        style: See `Session.summarize`.
        focus: What to tell above all.
        per_chapter: Whether a line for each chapter comes first.
        cite: Whether the page stands behind each sentence.
    """

    words: int
    style: str
    focus: str | None
    per_chapter: bool
    cite: bool


def write_summary(session: Session, wish: Wish, form: str, out: IO[str]) -> None:
    """Summarise, and write the summary; with the chapters', each as soon as it is there, where they are asked for."""
    outline = wish.style == OUTLINE
    # Cut here, and not counted in the session's notes: with a focus, notes are taken anew.
    cut = [chapters(text) for text in session.all_texts]
    for text, parts in zip(session.all_texts, cut, strict=True):
        count = f"{len(parts):,} chapters" if len(parts) > 1 else "1 part"
        session.reporter.note(f"{text.name}: {sum(part.words for part in parts):,} words, {count}")
    # What is told of a single chapter is the whole.
    lists = outline or (wish.per_chapter and sum(map(len, cut)) > 1)

    def on_chapter(chapter: ChapterSummary) -> None:
        if form != "text" or not lists or not chapter.sentences:
            return
        if outline:
            lines = "".join(f"  - {told([one], cite=wish.cite)}\n" for one in chapter.sentences)
            out.write(f"{chapter.label}\n{lines}")
        else:
            out.write(f"{chapter.label}: {told(chapter.sentences, cite=wish.cite)}\n")
        out.flush()

    summary = session.summarize(wish.words, style=wish.style, focus=wish.focus, on_chapter=on_chapter)
    if form != "text":
        told_of = [
            {
                "source": chapter.source,
                "title": chapter.notes.title,
                **place_record(chapter.notes.span),
                "sentences": [sentence_record(one) for one in chapter.sentences],
            }
            for chapter in summary.chapters
        ]
        value = {
            **_read_by(session),
            "summary": summary.shown(cite=wish.cite),
            "sentences": [sentence_record(one) for one in summary.sentences],
            "chapters": told_of,
        }
        emit_json(value, out, jsonl=form == "jsonl")
    elif not outline or not summary.sentences:
        out.write(("\n" if lists and summary.sentences else "") + summary.shown(cite=wish.cite) + "\n")


def from_memory(session: Session, words: int, form: str, out: IO[str]) -> None:
    """Write a summary from the memory alone, where there is no text."""
    # A small model likes to stop after a sentence, however many words it was asked for.
    turn = Turn(session.loaded, prompts.fill("summarize", words=words), tokens_for(words), least=words // 2)
    pieces = turn.pieces(session.engine)
    if form == "text":
        write_answer(pieces, out)
    else:
        value = {**_read_by(session), "summary": "".join(pieces).strip(), "sentences": [], "chapters": []}
        emit_json(value, out, jsonl=form == "jsonl")
    tell_limit(turn.limit if turn.limit_reached else None, turn.mid_sentence, session.reporter, "--length")


def _read_by(session: Session) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "tokens": session.tokens_read,
        "segments": session.segments,
        "sources": [dataclasses.asdict(source) for source in session.all_sources],
    }
