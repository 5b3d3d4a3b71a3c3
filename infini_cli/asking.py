"""Questions to a session, answered as text or as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from infini_attention.documents import Document
from infini_attention.model import prompts
from infini_attention.qa import cite as citations
from infini_attention.qa.answer import Answer
from infini_attention.qa.turn import Turn
from infini_attention.reporting import Reporter
from infini_attention.session import Session
from infini_attention.text.kept import KeptText

from infini_cli.output import emit_json, write_answer

if TYPE_CHECKING:
    from infini_attention import Engine, Source
    from infini_attention.model.adapters import LowRankChanges
    from infini_attention.qa.retrieve import LookBack

SCHEMA = "infini.ask/1"


class Asker:
    """Puts questions to what a session has read, and to documents.

    Documents are read first, but for a model with a reader: that goes by passages of the text alone, so they are only
    searched, and read when a question finds none.

    Args:
        session: What was read.
        documents: To be asked about as well.
        max_tokens: Tokens after which an answer ends.
        look_back: Whether answers are looked up in the text, where there is any.
        show_sources: Whether the sentences that an answer rests on are printed after it.
        update: The state that documents, questions and answers are written into; None: none.

    Attributes:
        last: The answer given last.
        texts: What is looked back at.
    """

    def __init__(
        self,
        session: Session,
        documents: Sequence[Document] = (),
        *,
        max_tokens: int,
        look_back: bool,
        show_sources: bool,
        update: Path | None,
    ) -> None:
        self.session, self.max_tokens, self.show_sources, self.update = session, max_tokens, show_sources, update
        self.last: Answer | None = None
        self.back: LookBack | None = None
        self.reader: LowRankChanges | None = None
        self.texts = [*session.texts, *(KeptText(document.name, document.blocks) for document in documents)]
        self._unread = documents
        if look_back and self.texts:
            from infini_attention.model.adapters import load_changes
            from infini_attention.qa.reranker import load_judge
            from infini_attention.qa.retrieve import LookBack

            loaded = session.loaded
            self.reader = load_changes(loaded.model, loaded.recipe.reader_file)
            self.back = LookBack(loaded, self.texts, load_judge(loaded.model, loaded.recipe.judge_file))
        elif look_back:
            session.reporter.note("the state carries no text to look back at: answers come from the memory alone")
        if self.reader is None or update is not None:
            self.remembered()
        elif documents:
            names = ", ".join(document.name for document in documents)
            session.reporter.note(f"{names}: searched, and read only if no passage speaks for a question")

    def remembered(self) -> Engine:
        """What the session has read; documents that were only searched so far are read now.

        Raises:
            ReadingInterrupted: See `Session.read`.
        """
        unread, self._unread = self._unread, ()
        if unread:
            self.session.read(unread)
        return self.session.engine

    def answer(self, question: str, form: str, out: IO[str]) -> None:
        """Write the answer, piece by piece where it is text."""
        if form != "text":
            emit_json(self.record(question), out, jsonl=form == "jsonl")
            return
        answer = self._begin(question)
        write_answer(self._cited(answer), out)
        if self.show_sources:
            self.print_sources(out)
        self._end(answer)

    def record(self, question: str) -> dict[str, Any]:
        """The answer as a JSON object of schema `infini.ask/1`."""
        answer = self._begin(question)
        text = "".join(answer.pieces(self.remembered)).strip()
        self._end(answer)
        return {
            "schema": SCHEMA,
            "question": question,
            "answer": text,
            "looked_back": answer.back is not None,
            "refused": answer.refused,
            "sources": citations.record(answer.found, self.texts),
            "limit_reached": answer.turn.limit_reached,
            "model": answer.loaded.origin.model,
        }

    def print_sources(self, out: IO[str]) -> None:
        """The sentences that the last answer rests on, each with its place."""
        for found, sentence in [] if self.last is None else self.last.evidence():
            out.write(f"  {citations.place(found.passage, self.texts)}: {sentence.text}\n")
        out.flush()

    def _begin(self, question: str) -> Answer:
        instruction = prompts.fill("ask", question=question)
        self.last = Answer(self.session.loaded, question, instruction, self.max_tokens, self.back, self.reader)
        return self.last

    def _cited(self, answer: Answer) -> Iterator[str]:
        """The answer and, at its end, where it stands."""
        held = ""
        for piece in answer.pieces(self.remembered):
            text = held + piece
            held = text[len(text.rstrip()) :]
            yield text.rstrip()
        if answer.found:
            yield f" {citations.line(answer.found, self.texts)}"

    def _end(self, answer: Answer) -> None:
        tell_limit(answer.turn, self.session.reporter, "--max-tokens")
        if self.update is not None:
            self.session.remember(answer.turn.transcript(), _source(answer.question, answer.turn))
            self.session.snapshot().save(self.update)
            self.session.reporter.note(f"{self.update}: the question and its answer were added")


def _source(question: str, turn: Turn) -> Source:
    from infini_attention import Source

    digest = hashlib.sha256(question.encode()).hexdigest()
    return Source("question and answer", "dialogue", digest, None, len(turn.transcript()), "infini ask")


def tell_limit(turn: Turn, reporter: Reporter, option: str) -> None:
    """Say so where the limit ended an answer."""
    if turn.limit_reached:
        where = ", in the middle of a sentence" if turn.mid_sentence else ""
        reporter.note(f"the answer ended at its limit of {turn.limit} tokens{where}; {option} sets it")
