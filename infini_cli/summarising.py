"""A summary of what a session has read, and of documents that wait: as text or as JSON."""

from __future__ import annotations

import dataclasses
from typing import IO, Any

from infini_attention.model import prompts
from infini_attention.qa.cite import place_record
from infini_attention.qa.turn import Turn, tokens_for
from infini_attention.session import Session
from infini_attention.summary.notes import Note
from infini_attention.summary.summarizer import OUTLINE, Summarizer

from infini_cli.asking import tell_limit
from infini_cli.output import emit_json, write_answer

SCHEMA = "infini.summarize/1"


def write_summary(session: Session, summarizer: Summarizer, per_chapter: bool, form: str, out: IO[str]) -> None:
    """Summarise, and write the summary; with the notes, each as soon as it is there, where they are asked for."""
    outline = summarizer.style == OUTLINE
    # The note on a single chapter is the whole.
    shows_notes = outline or (per_chapter and len(summarizer.taker.chapters) > 1)

    def told(note: Note, label: str) -> None:
        text = (
            f"{label}\n" + "".join(f"  - {one}\n" for one in note.sentences) if outline else f"{label}: {note.text}\n"
        )
        if not shows_notes:
            session.reporter.detail(f"a note of {len(note.text.split())} words was taken")
        elif form == "text":
            out.write(text)
            out.flush()

    summary = summarizer.run(told)
    if form != "text":
        chapters = [
            {
                "source": summarizer.taker.names[note.chapter.source],
                "title": note.chapter.title,
                **place_record(note.chapter.span),
                "note": note.text,
            }
            for note in summary.notes
        ]
        value = {
            **_read_by(session),
            "summary": summary.text,
            "chapters": chapters,
            "sentences": dataclasses.asdict(summary.tally),
        }
        emit_json(value, out, jsonl=form == "jsonl")
    elif not outline:
        out.write(("\n" if shows_notes else "") + summary.text + "\n")
    kept, written = summary.tally.kept, summary.tally.written
    session.reporter.detail(f"{kept} of {written} sentences that the model wrote are borne out by the text and kept")


def from_memory(session: Session, words: int, form: str, out: IO[str]) -> None:
    """Write a summary from the memory alone, where there is no text to check it against."""
    # A small model likes to stop after a sentence, however many words it was asked for.
    turn = Turn(session.loaded, prompts.fill("summarize", words=words), tokens_for(words), least=words // 2)
    pieces = turn.pieces(session.engine)
    if form == "text":
        write_answer(pieces, out)
    else:
        value = {**_read_by(session), "summary": "".join(pieces).strip(), "chapters": [], "sentences": None}
        emit_json(value, out, jsonl=form == "jsonl")
    tell_limit(turn.limit if turn.limit_reached else None, turn.mid_sentence, session.reporter, "--length")


def _read_by(session: Session) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "model": session.loaded.origin.model,
        "tokens": session.tokens_read,
        "segments": session.segments,
        "sources": [dataclasses.asdict(source) for source in session.sources],
    }
