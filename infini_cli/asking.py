"""Questions to a session, answered as text or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from infini_attention.memory.reading_journal import ReadingJournal
from infini_attention.qa import cite
from infini_attention.qa.answer import Answer, AnswerStream
from infini_attention.reporting import Reporter
from infini_attention.session import Session

from infini_cli.output import emit_json, write_answer

SCHEMA = "infini.ask/1"


class Asker:
    """Puts questions to what a session has read, and to documents that wait.

    Args:
        session: What was read.
        max_tokens: Tokens after which an answer ends.
        look_back: Whether answers are looked up in the text, where there is any.
        show_sources: Whether the sentences that an answer rests on are printed after it.
        update: The lock on the state that documents, questions and answers are written into; None: none.

    Attributes:
        last: The answer given last.
    """

    def __init__(
        self, session: Session, *, max_tokens: int, look_back: bool, show_sources: bool, update: ReadingJournal | None
    ) -> None:
        self.session, self.max_tokens, self.show_sources, self.update = session, max_tokens, show_sources, update
        self.last: Answer | None = None
        # The texts stay what they are when documents that wait are read.
        self.texts = session.all_texts
        self.look_back = look_back and bool(self.texts)
        if look_back and not self.texts:
            session.reporter.note("the state carries no text to look back at: answers come from the memory alone")
        if update is not None or session.answerer(look_back=self.look_back).needs_memory:
            session.remembered()
        elif session.pending:
            names = ", ".join(document.name for document in session.pending)
            session.reporter.note(f"{names}: searched, not read into memory")

    def answer(self, question: str, form: str, out: IO[str]) -> None:
        """Write the answer, piece by piece where it is text."""
        if form != "text":
            emit_json(self.record(question), out, jsonl=form == "jsonl")
            return
        write_answer(self._cited(self._stream(question)), out)
        if self.show_sources:
            self.print_sources(out)

    def record(self, question: str) -> dict[str, Any]:
        """The answer as a JSON object of schema `infini.ask/1`."""
        answer = self._end(self._stream(question).finish())
        return {
            "schema": SCHEMA,
            "question": question,
            "answer": answer.text,
            "looked_back": answer.looked_back,
            "refused": answer.refused,
            "sources": cite.record(answer.found, self.texts),
            "limit_reached": answer.limit is not None,
            "model": self.session.loaded.origin.model,
        }

    def print_sources(self, out: IO[str]) -> None:
        """The sentences that the last answer rests on, each with its place."""
        for found, sentence in [] if self.last is None else self.last.sentences():
            out.write(f"  {cite.place(found.passage, self.texts)}: {sentence.text}\n")
        out.flush()

    def _stream(self, question: str) -> AnswerStream:
        return self.session.answering(question, look_back=self.look_back, max_tokens=self.max_tokens)

    def _cited(self, stream: AnswerStream) -> Iterator[str]:
        """The answer and, at its end, where it stands."""
        held = ""
        for piece in stream:
            text = held + piece
            held = text[len(text.rstrip()) :]
            yield text.rstrip()
        answer = self._end(stream.finish() if stream.answer is None else stream.answer)
        if answer.found:
            yield f" {cite.line(answer.found, self.texts)}"

    def _end(self, answer: Answer) -> Answer:
        self.last = answer
        tell_limit(answer.limit, answer.mid_sentence, self.session.reporter, "--max-tokens")
        if self.update is not None:
            self.session.remember(answer)
            self.update.write(self.session.snapshot())
            self.session.reporter.note(f"{self.update.target}: the question and its answer were added")
        return answer


def tell_limit(limit: int | None, mid_sentence: bool, reporter: Reporter, option: str) -> None:
    """Say so where a limit ended an answer."""
    if limit is not None:
        where = ", in the middle of a sentence" if mid_sentence else ""
        reporter.note(f"the answer ended at its limit of {limit} tokens{where}; {option} sets it")
