"""What a session reads, and has read, as a summary: as text or as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import IO, Any

from infini_attention.documents import Document
from infini_attention.model import prompts
from infini_attention.qa.cite import place_record
from infini_attention.qa.turn import Turn, tokens_for
from infini_attention.session import Session
from infini_attention.summary.notes import Note, Writer
from infini_attention.summary.taking import NoteTaker
from infini_attention.summary.whole import note_words, summary

from infini_cli.asking import tell_limit
from infini_cli.output import emit_json, write_answer

SCHEMA = "infini.summarize/1"
PARAGRAPH, BULLETS, OUTLINE = STYLES = ("paragraph", "bullets", "outline")
# The least that an outline's note is worth, in words.
LEAST_NOTE = 15


class Summariser:
    """Reads documents, takes notes meanwhile, and makes a whole of them.

    Args:
        session: What was read before.
        documents: What is to be read.
        words: Of the whole, about.
        style: One of `STYLES`; an outline is made of the notes alone.
        per_chapter: Whether the notes are printed too, each as soon as it is there.
        focus: What to tell above all; None: everything.
    """

    def __init__(
        self,
        session: Session,
        documents: Sequence[Document],
        *,
        words: int,
        style: str = PARAGRAPH,
        per_chapter: bool = False,
        focus: str | None = None,
    ) -> None:
        self.session, self.words, self.style = session, words, style
        self.writer = Writer(session.loaded, focus)
        self.taker = NoteTaker(session, documents, self.writer, self._note_words)
        # The note on a single chapter is the whole.
        self.shows_notes = style == OUTLINE or (per_chapter and len(self.taker.chapters) > 1)

    def write(self, form: str, out: IO[str]) -> None:
        """Read, and write the summary."""
        if form != "text":
            emit_json(self.record(), out, jsonl=form == "jsonl")
        else:

            def told(note: Note) -> None:
                if self.shows_notes:
                    out.write(self._shown(note))
                    out.flush()
                else:
                    self.session.reporter.detail(self._shown(note).rstrip())

            notes = self.taker.take(told)
            if self.style != OUTLINE:
                out.write(("\n" if self.shows_notes else "") + self._whole(notes) + "\n")
        tally = self.writer.tally
        self.session.reporter.detail(
            f"{tally.kept} of {tally.written} sentences that the model wrote are borne out by the text and kept"
        )

    def record(self) -> dict[str, Any]:
        """Read, and give the summary as a JSON object of schema `infini.summarize/1`."""
        notes = self.taker.take()
        return {
            **_read_by(self.session),
            "summary": "\n".join(note.text for note in notes) if self.style == OUTLINE else self._whole(notes),
            "chapters": [
                {
                    "source": self.taker.names[note.chapter.source],
                    "title": note.chapter.title,
                    **place_record(note.chapter.span),
                    "note": note.text,
                }
                for note in notes
            ],
            "sentences": dataclasses.asdict(self.writer.tally),
        }

    def _whole(self, notes: Sequence[Note]) -> str:
        sentences = summary(self.writer, self.session.engine, notes, self.words)
        return "\n".join(f"- {one}" for one in sentences) if self.style == BULLETS else " ".join(sentences)

    def _shown(self, note: Note) -> str:
        label = self.taker.label(note.chapter)
        if self.style != OUTLINE:
            return f"{label}: {note.text}\n"
        return "".join([f"{label}\n", *(f"  - {sentence}\n" for sentence in note.sentences)])

    def _note_words(self, chapters: int) -> int:
        if self.style == OUTLINE or chapters == 1:
            return max(LEAST_NOTE, self.words // chapters)
        return note_words(self.words, chapters)


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
    tell_limit(turn, session.reporter, "--length")


def _read_by(session: Session) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "model": session.loaded.origin.model,
        "tokens": session.engine.tokens_read,
        "segments": session.engine.cache.segments,
        "sources": [dataclasses.asdict(source) for source in session.sources],
    }
