"""Questions that a text answers, and questions of another text: how often `ask` refuses to answer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from ..data.stories import Story
from ..errors import InfiniError
from ..model.loading import Loaded
from ..qa.answer import Answerer
from ..qa.refuse import refuses
from ..qa.retrieve import Found
from ..text.kept import KeptText
from .probes import Measured, spread


def refusals(
    loaded: Loaded,
    stories: Sequence[Story],
    limit: int | None,
    score: Callable[[str, Sequence[Found]], float] | None = None,
) -> list[Measured]:
    """Each text with questions of its own and with as many of the text after it.

    Refusing is decided on the text alone: nothing is read into memory, and nothing is answered. The score is 1 where
    the question is refused.

    Args:
        loaded: the model.
        stories: those without a question are left out.
        limit: questions of each kind, spread evenly over all stories; ``None``: all.
        score: a question and the passages found for it to another score than whether it is refused.

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

    def measure(foreign: bool, trial: int) -> Mapping[str, float]:
        story, question = own[trial]
        if foreign:
            others = after[id(story)].questions
            question = others[trial % len(others)].question
        found = answerer(story.text).find(question)
        return {"refused": float(refuses(loaded, question, found)) if score is None else score(question, found)}

    tokens = sum(len(story.text) // 4 for story, _ in own)
    return [
        Measured({"kind": kind}, len(own), functools.partial(measure, foreign), tokens)
        for kind, foreign in (("answerable", False), ("unanswerable", True))
    ]
