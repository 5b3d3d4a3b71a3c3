"""Questions to answers: the place is found and read again, or the memory alone is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..memory.engine import Engine
from ..model import prompts
from ..model.loading import Loaded
from ..text.kept import KeptText
from ..text.notes import SourceNotes
from ..text.passages import Sentence
from ..text.search import best_sentence
from .choosing import Generates
from .cite import resting
from .evidence import REFUSAL
from .found import Found
from .memory_question import memory_prompt
from .reader import PassageReader
from .refuse import TOLD, refuses
from .reranker import load_reranker
from .retrieve import Retriever
from .turn import GRACE, Turn
from .view import in_view
from .whole import from_notes

MAX_TOKENS = 128


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and what it rests on.

    Attributes:
        question: as the person put it.
        text: the answer.
        found: the passages that speak for the question, the best one first; none where memory alone answered, or where the
            text does not seem to tell.
        refused: whether the text does not seem to tell.
        looked_back: whether the text was searched.
        limit: tokens at which it was cut off; ``None`` where it ended by itself.
        mid_sentence: whether it was cut off inside a sentence.
        transcript: token ids of the instruction and the answer, as the chat template closes them.
    """

    question: str
    text: str
    found: tuple[Found, ...]
    refused: bool
    looked_back: bool
    limit: int | None
    mid_sentence: bool
    transcript: tuple[int, ...]

    @property
    def pages(self) -> tuple[str, ...]:
        """Where its passages stand, such as ``p. 112``, the best one first and each once; empty where there are no pages."""
        spans = (one.passage.span for one in self.found)
        return tuple(dict.fromkeys(str(span) for span in spans if span is not None))

    def sentences(self) -> list[tuple[Found, Sentence]]:
        """The sentence of each passage that comes nearest to the question and the answer, the best passage's first."""
        return [(one, best_sentence(one.passage, f"{self.question} {self.text}")) for one in self.found]


class _View(NamedTuple):
    """What is read again for an answer: texts, the passages that they are, and the only possible answers, if there are such."""

    texts: Sequence[str]
    found: Sequence[Found] = ()
    options: Sequence[str] = ()


class AnswerStream:
    """An answer that comes piece by piece.

    Args:
        pieces: gives the pieces and returns the answer that they make.

    Attributes:
        answer: there once all pieces have come.
    """

    def __init__(self, pieces: Callable[[], Iterator[str | Answer]]) -> None:
        self._pieces = pieces
        self.answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces():
            if isinstance(piece, Answer):
                self.answer = piece
            else:
                yield piece

    def finish(self) -> Answer:
        """The answer, all at once."""
        for _ in self:
            pass
        assert self.answer is not None
        return self.answer


class Answerer:
    """Answers questions about texts, and from what an engine remembers of them.

    Args:
        loaded: the model that remembers, and puts passages in order.
        texts: where answers are looked up; none: memory alone answers.
        by_words: take the passages that share most words with a question, whatever the model makes of them, and never
            refuse: what a search engine does, to compare with.
        notes: gives the notes on the texts; called for a question about the whole.
        reading: gives another model that answers from passages, if the recipe names one; called where there are texts.

    Attributes:
        reader: what answers from passages; ``None`` without texts.
    """

    def __init__(
        self,
        loaded: Loaded,
        texts: Sequence[KeptText] = (),
        *,
        by_words: bool = False,
        notes: Callable[[], Sequence[SourceNotes]] = tuple,
        reading: Callable[[], Loaded | None] = lambda: None,
    ) -> None:
        self.loaded, self.texts, self.by_words, self.notes = loaded, tuple(texts), by_words, notes
        self.retriever: Retriever | None = None
        self.reader: PassageReader | None = None
        if texts:
            reranker = None if by_words else load_reranker(loaded.model, loaded.recipe.reranker_file)
            self.retriever = Retriever(loaded, self.texts, reranker)
            other = reading()
            self.reader = PassageReader(other or loaded, apart=other is not None)

    @property
    def needs_memory(self) -> bool:
        """Whether answers rest on what an engine has read: always, but with a reader that goes by passages alone."""
        return self.reader is None or self.reader.needs_memory

    def stream(
        self,
        question: str,
        remembered: Callable[[], Engine],
        *,
        max_tokens: int = MAX_TOKENS,
        shown: str | None = None,
    ) -> AnswerStream:
        """An answer, to be iterated over.

        Args:
            question: as a person puts it.
            remembered: gives the engine with what was read, which stays as it is; called where memory has a part in the
                answer.
            max_tokens: after so many an answer ends with its sentence.
            shown: a part of a text to answer from, instead of what would be found; only where there are texts.
        """
        return AnswerStream(lambda: self._pieces(question, remembered, max_tokens, shown))

    def find(self, question: str, max_tokens: int = MAX_TOKENS) -> list[Found]:
        """The passages that speak most for a question, the best one first; none without texts."""
        turn = Turn(self.loaded, prompts.fill("ask", question=question), max_tokens)
        room = self._room(turn, max_tokens)
        return [] if self.retriever is None else self.retriever.find(question, room, by_words=self.by_words)

    def _room(self, turn: Turn, max_tokens: int) -> int:
        """Tokens of passages that a segment has room for, beside an instruction and its answer."""
        return self.loaded.config.segment_length - len(turn.prompt) - max_tokens - GRACE

    def _view(self, question: str, found: Sequence[Found]) -> _View:
        assert self.retriever is not None and self.reader is not None
        chosen = in_view(question, found, self.reader.passages, choose_numbers=self.reader.chooses_numbers)
        texts = [one.passage.told for one in self.retriever.ordered(chosen.found)]
        return _View(texts, chosen.found, chosen.numbers)

    def _shown(self, text: str, turn: Turn, max_tokens: int) -> _View:
        """A text, as much of it as there is room for."""
        ids = self.loaded.encode(text)
        room = self._room(turn, max_tokens) - len(self.loaded.encode("\n\n"))
        return _View([text if len(ids) <= room else self.loaded.tokenizer.decode(ids[:room])])

    def _of_whole(self, question: str, turn: Turn) -> Answer | None:
        """The answer to a question about the whole, from the notes, if they tell; with the passages that it rests on."""
        told = from_notes(question, self.notes)
        if told is None or self.retriever is None:
            return None
        hits = {hit.passage: hit for one in told.rests_on for hit in self.retriever.search.find(one, 1)}
        found = tuple(Found(hit.passage, hit.score, None) for hit in hits.values())
        return Answer(question, told.text, found, False, True, None, False, tuple(turn.transcript(told.text)))

    def _pieces(
        self, question: str, remembered: Callable[[], Engine], max_tokens: int, shown: str | None
    ) -> Iterator[str | Answer]:
        from_memory = shown is None and self.retriever is None
        prompt = memory_prompt(self.loaded, question) if from_memory else None
        turn = Turn(self.loaded, prompts.fill("ask", question=question), max_tokens, prompt=prompt)
        turn.one_sentence = from_memory
        found: Sequence[Found] = ()
        view: _View | None = None
        whole = self._of_whole(question, turn) if shown is None and not from_memory else None
        if whole is not None:
            yield whole.text
            yield whole
            return
        if shown is not None:
            view = self._shown(shown, turn, max_tokens)
        elif self.retriever is not None:
            enough, room = self.loaded.recipe.refuse_below or 0.0, self._room(turn, max_tokens)
            found = self.retriever.find(question, room, by_words=self.by_words, enough=enough)
            refused = not self.by_words and refuses(self.loaded, question, found)
            # Without passages and without a memory there is nothing to answer from.
            if refused or not (found or self.loaded.memory):
                yield TOLD
                yield Answer(question, TOLD, (), True, True, None, False, tuple(turn.transcript(TOLD)))
                return
            view = self._view(question, found) if found else None
        told = turn
        engine: Generates | None = None
        if view is not None and self.reader is not None:
            told, engine = self.reader.answering(question, view.texts, max_tokens, remembered, options=view.options)
        said = []
        for piece in told.pieces(engine or remembered()):
            said.append(piece)
            yield piece
        text = "".join(said).strip()
        refused = text.startswith(REFUSAL)
        if view is not None and not refused:
            # Several may have been in view, and the answer rests on few of them.
            found = resting(view.found, question, text)
        yield Answer(
            question,
            text,
            () if refused else tuple(found),
            refused,
            self.retriever is not None,
            told.limit if told.limit_reached else None,
            told.mid_sentence,
            # What is read into memory is in the words of the model that remembers.
            tuple(turn.transcript(None if told is turn else text)),
        )
