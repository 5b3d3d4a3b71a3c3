"""Questions about texts, answered as people are answered: token F1, exact match, ROUGE-L, and whether the place is right."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import torch

from ..data.stories import Question, Story
from ..documents.reading import DOCUMENT_END
from ..documents.source import document_of_text
from ..errors import InfiniError
from ..model.chat import stop_ids
from ..model.loading import Loaded, load_reader
from ..qa.answer import Answer, Answerer
from ..qa.memory_question import memory_prompt
from ..session import Session
from ..text.kept import KeptText
from ..text.passages import sentence_texts
from .probes import Measured, Probe, Series, spread
from .scores import question_scores

# What a question is answered from: the passages that `ask` finds; those that share most words with it, as a search engine
# has it; the right part of the text; the memory of the whole text alone.
VIEWS = ("passages", "words", "right", "memory")
# Of a passage's words, the share that has to stand in the right part for it to count as cited from there.
SHARED = 0.5
# Tokens of an answer from a system that is no session.
ANSWER_TOKENS = 48


def questions(loaded: Loaded, stories: Sequence[Story], limit: int | None, *, view: str = "passages") -> Measured:
    """Questions, each put to a session as a person would put it.

    With passages found, there is one more score where the data tell the part with the answer: whether the best passage is of
    it.

    Args:
        loaded: the model.
        stories: those without a question are left out; where it matters which part of a text tells the answer, so are
            questions for which that is not known, unless none is.
        limit: questions to ask, spread evenly over all stories; ``None``: all.
        view: one of ``VIEWS``.

    Raises:
        InfiniError: there is no question.
    """
    asked = [(story, question) for story in stories for question in story.questions]
    known = [(story, question) for story, question in asked if question.evidence]
    cites = view in ("passages", "words") and bool(known)
    if cites or view == "right":
        asked = known
    if not asked:
        raise InfiniError("no text comes with a question", 'write {"text": ..., "questions": [...]} a line')
    chosen = spread(asked, limit)

    @functools.lru_cache(1)
    def session_of(text: str) -> Session:
        session = Session(loaded)
        document = document_of_text(text, "story")
        if view == "memory":
            return session.read(document)
        session.add([document])
        return session

    @functools.lru_cache(1)
    def by_words(text: str) -> Answerer:
        return Answerer(loaded, [KeptText.of("story", text)], by_words=True, reading=lambda: load_reader(loaded))

    def answer(story: Story, question: Question) -> Answer:
        session = session_of(story.text)
        if view == "words":
            return by_words(story.text).stream(question.question, session.remembered).finish()
        if view == "right":
            return session.answerer().stream(question.question, session.remembered, shown=question.evidence).finish()
        return session.ask(question.question, look_back=view == "passages")

    def measure(trial: int) -> Mapping[str, float]:
        story, question = chosen[trial]
        given = answer(story, question)
        scores = question_scores(given.text, question.answers)
        if cites:
            scores["cited"] = float(bool(given.found) and stands_in(given.found[0].passage.text, question))
        return scores

    return Measured({"kind": "questions"}, len(chosen), measure, sum(len(story.text) // 4 for story, _ in chosen))


def system_questions(loaded: Loaded, stories: Sequence[Story], limit: int | None) -> Series:
    """Questions, each after its whole story was read by any system; the scores are token F1, exact match and ROUGE-L.

    They are put as a session puts them to its memory alone (see ``memory_question``).

    Args:
        loaded: whose tokenizer to use.
        stories: those without a question are left out.
        limit: questions to ask, spread evenly over all stories; ``None``: all.

    Raises:
        InfiniError: there is no question.
    """
    asked = [(story, question) for story in stories for question in story.questions]
    if not asked:
        raise InfiniError("no text comes with a question", 'write {"text": ..., "questions": [...]} a line')
    asked = spread(asked, limit)
    stop = stop_ids(loaded.model, loaded.tokenizer)

    @functools.lru_cache(1)
    def read(text: str) -> torch.Tensor:
        return torch.tensor(loaded.encode(text + DOCUMENT_END))

    def draw(trial: int) -> Probe:
        story, question = asked[trial]
        prompt = memory_prompt(loaded, question.question)

        def score(answer: str) -> dict[str, float]:
            return question_scores(sentence_texts(answer)[0] if answer.strip() else "", question.answers)

        return Probe((read(story.text),), tuple(prompt), ANSWER_TOKENS, score, stop)

    return Series({"kind": "questions"}, len(asked), draw, sum(len(story.text) // 4 for story, _ in asked))


def stands_in(text: str, question: Question) -> bool:
    """Whether a passage is of the part of the text that a question's answer stands in."""
    # Sentences are joined and spaces evened out in a passage, so words are compared, pair by pair.
    words, right = text.split(), (question.evidence or "").split()
    known = set(itertools.pairwise(right))
    pairs = list(itertools.pairwise(words))
    return bool(pairs) and sum(pair in known for pair in pairs) >= SHARED * len(pairs)
