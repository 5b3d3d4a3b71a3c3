"""Questions that a text answers, and questions of another text: how often `ask` refuses to answer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from ..data.stories import Story
from ..documents.source import document_of_text
from ..errors import InfiniError
from ..model.loading import Loaded
from ..qa.answer import Answerer
from ..qa.found import Found
from ..session import Session
from ..text.kept import KeptText
from .probes import Measured, spread


def refusals(
    loaded: Loaded,
    stories: Sequence[Story],
    limit: int | None,
    score: Callable[[str, Sequence[Found]], float] | None = None,
) -> list[Measured]:
    """Each text with questions of its own and with as many of the text after it.

    Each is put as ``ask`` puts it. The score is 1 where it is refused, for want of evidence or by the reader itself.

    Args:
        loaded: the model.
        stories: those without a question are left out.
        limit: questions of each kind, spread evenly over all stories; ``None``: all.
        score: a question and the passages found for it to another score than whether it is refused; nothing is answered then.

    Raises:
        InfiniError: there are not two texts with a question.
    """
    asked = [story for story in stories if story.questions]
    if len(asked) < 2:
        raise InfiniError("fewer than two texts come with a question", "give texts to take each other's questions from")
    own = spread([(story, question.question) for story in asked for question in story.questions], limit)
    after = {id(story): other for story, other in zip(asked, [*asked[1:], asked[0]], strict=True)}

    @functools.lru_cache(1)
    def answerer(text: str) -> Answerer:
        return Answerer(loaded, [KeptText.of("story", text)])

    @functools.lru_cache(1)
    def session(text: str) -> Session:
        session = Session(loaded)
        session.add([document_of_text(text, "story")])
        return session

    def measure(foreign: bool, trial: int) -> Mapping[str, float]:
        story, question = own[trial]
        if foreign:
            others = after[id(story)].questions
            question = others[trial % len(others)].question
        if score is None:
            return {"refused": float(session(story.text).ask(question).refused)}
        return {"refused": score(question, answerer(story.text).find(question))}

    tokens = sum(len(story.text) // 4 for story, _ in own)
    return [
        Measured({"kind": kind}, len(own), functools.partial(measure, foreign), tokens)
        for kind, foreign in (("answerable", False), ("unanswerable", True))
    ]
