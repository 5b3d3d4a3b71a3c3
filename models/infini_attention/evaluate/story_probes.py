"""Questions about texts, from what was kept after reading: the series of their trials."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ..data.stories import Question, Story
from ..errors import InfiniError
from ..memory.engine import Engine
from ..model.adapters import LowRankChanges
from ..model.chat import stop_ids, turn_start
from ..model.loading import Loaded
from ..qa.choosing import Answering, from_passages
from ..qa.evidence import without_refusal
from .probes import Probe, Series
from .scores import question_scores

T = TypeVar("T")

# Tokens of an answer to a question.
ANSWER_TOKENS = 48


@dataclasses.dataclass(frozen=True, slots=True)
class Passage:
    """A part of a story that is read again.

    Attributes:
        ids: token ids.
        right: whether it is cited, and of the part of the story that the answer stands in.
    """

    ids: list[int]
    right: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What is read again between a story and a question about it.

    Attributes:
        passages: a story, one of its questions and the number of the instruction's tokens to parts of the story, in the
            order in which they are to be read again.
        cites: whether it is measured that a part is the right one, where it is known which that is.
        needs_evidence: whether there is nothing to read again for a question whose part of the story is not known.
    """

    passages: Callable[[Story, Question, int], Sequence[Passage]]
    cites: bool = False
    needs_evidence: bool = False


def right_part(loaded: Loaded) -> View:
    """The view of who knows where the answer stands: that part of the story, as far as a segment has room for it."""

    def passages(story: Story, question: Question, prompt_tokens: int) -> Sequence[Passage]:
        room = loaded.config.segment_length - prompt_tokens - ANSWER_TOKENS
        return [Passage(loaded.encode((question.evidence or "") + "\n\n")[:room])]

    return View(passages, needs_evidence=True)


def questions(
    loaded: Loaded,
    stories: Sequence[Story],
    prompt: Callable[[str], str],
    limit: int | None,
    *,
    view: View | None = None,
    reader: LowRankChanges | None = None,
    options: Callable[[str, str], Sequence[str]] = lambda question, text: (),
) -> Series:
    """Questions, each after its whole story was read; the scores are token F1, exact match and ROUGE-L.

    With a view that cites what it reads again, there is one more: whether a cited part is the right one.

    Args:
        loaded: whose chat template and tokenizer to use.
        stories: those without a question are left out.
        prompt: a question to the instruction that asks it.
        limit: questions to ask, spread evenly over all stories; ``None``: all.
        view: what is read again before a question, by an engine only. Where it is measured what that cites, or needed,
            questions without evidence are left out, unless none has any.
        reader: in force while an answer is given from what is read again. It goes by that alone, so no story is read
            before.
        options: a question and the text that is read again to the only possible answers; none: any are.

    Raises:
        InfiniError: there is no question.
    """
    asked = [(story, question) for story in stories for question in story.questions]
    known = [(story, question) for story, question in asked if question.evidence]
    cites = view is not None and view.cites and bool(known)
    if cites or (view is not None and view.needs_evidence):
        asked = known
    if not asked:
        raise InfiniError("no text comes with a question", 'write {"text": ..., "questions": [...]} a line')
    asked = spread(asked, limit)
    stop = stop_ids(loaded.model, loaded.tokenizer)

    @functools.lru_cache(1)
    def read(text: str) -> torch.Tensor:
        return torch.tensor(loaded.encode(text + "\n\n"))

    def draw(trial: int) -> Probe:
        story, question = asked[trial]
        turn = loaded.encode(turn_start(loaded.tokenizer, prompt(question.question)), special=True)
        passages = [] if view is None else view.passages(story, question, len(turn))
        right = any(passage.right for passage in passages)

        def score(answer: str) -> dict[str, float]:
            found = question_scores(answer.strip(), question.answers)
            return {**found, "cited": float(right)} if cites else found

        def read_again(engine: Engine) -> Answering:
            again = [passage.ids for passage in passages]
            text = "".join(map(loaded.tokenizer.decode, again))
            possible = options(question.question, text)
            return from_passages(loaded, again, lambda: engine, reader=reader, options=possible)

        prepare = read_again if passages else None
        processors = without_refusal(loaded, len(turn)) if passages else None
        document = torch.empty(0, dtype=torch.long) if passages and reader is not None else read(story.text)
        return Probe((document,), tuple(turn), ANSWER_TOKENS, score, stop, processors, prepare)

    return Series({"kind": "questions"}, len(asked), draw, sum(len(story.text) // 4 for story, _ in asked))


def spread(items: Sequence[T], limit: int | None) -> list[T]:
    """So many of the items, evenly from all of them; all where there is no limit."""
    count = len(items) if limit is None else min(limit, len(items))
    return [items[number * len(items) // count] for number in range(count)]
