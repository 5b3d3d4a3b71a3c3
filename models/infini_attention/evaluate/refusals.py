"""Questions that a text answers, and questions of another text: how often an answer is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch

from ..data.stories import Story
from ..errors import InfiniError
from ..model.chat import turn_start
from ..model.loading import Loaded
from .probes import Probe, Series
from .story_probes import spread

# A story, a question, and the number of its tokens in the chat template, to whether the story is found not to tell.
Refuses = Callable[[Story, str, int], bool]


def refusals(
    loaded: Loaded, stories: Sequence[Story], prompt: Callable[[str], str], limit: int | None, refuses: Refuses
) -> list[Series]:
    """Each text with questions of its own and with as many of the text after it; the score is 1 where one is refused.

    Refusing is decided on the text alone: nothing is read into memory, and nothing is answered.

    Args:
        loaded: whose chat template and tokenizer to use.
        stories: those without a question are left out.
        prompt: a question to the instruction that asks it.
        limit: questions of each kind, spread evenly over all stories; ``None``: all.
        refuses: what is measured.

    Raises:
        InfiniError: there are not two texts with a question.
    """
    asked = [story for story in stories if story.questions]
    if len(asked) < 2:
        raise InfiniError("fewer than two texts come with a question", "give texts to take each other's questions from")
    own = spread([(story, question.question) for story in asked for question in story.questions], limit)
    after = {id(story): other for story, other in zip(asked, [*asked[1:], asked[0]], strict=True)}

    def draw(foreign: bool, trial: int) -> Probe:
        story, question = own[trial]
        if foreign:
            others = after[id(story)].questions
            question = others[trial % len(others)].question
        turn = loaded.encode(turn_start(loaded.tokenizer, prompt(question)), special=True)
        nothing = torch.empty(0, dtype=torch.long)
        return Probe((nothing,), tuple(turn), 0, lambda answer: {"refused": float(refuses(story, question, len(turn)))})

    tokens = sum(len(story.text) // 4 for story, _ in own)
    return [
        Series({"kind": kind}, len(own), functools.partial(draw, foreign), tokens)
        for kind, foreign in (("answerable", False), ("unanswerable", True))
    ]
