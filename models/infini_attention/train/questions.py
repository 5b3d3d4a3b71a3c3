"""Training task that asks about a text read before, in the base's chat template."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.stories import Story
from ..model import prompts
from ..model.chat import answer_end
from ..model.loading import Loaded
from .segments import Segment
from .tasks import BatchShape, question_segment

# Rows of one step: more questions about a text cost little beside reading it.
MOST_QUESTIONS = 8
# Tokens of the text that may still be in view: every row has to read them.
MOST_REST = 128

# Parts of all texts, by length, that those of a bucket are drawn from one of.
BUCKET_PARTS = 4
# The most segments and tokens of a text of a bucket.
BUCKET_PIECES, BUCKET_TOKENS = 8, 8192


@dataclasses.dataclass(frozen=True, slots=True)
class AskedTurn:
    """An instruction and what to make of it, as token ids.

    Attributes:
        instruction: in the chat template.
        answers: right ones, at least one, with the end of the turn.
    """

    instruction: list[int]
    answers: tuple[list[int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """A text as token ids, and what may be asked about it."""

    text: Tensor
    turns: tuple[AskedTurn, ...]


class Instructions:
    """Answer instructions about a text whose segments are closed, but for a rest that may still be in view.

    Args:
        examples: texts with at least one turn each.
    """

    name = "questions"

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = sorted(examples, key=_length)

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Segment]:
        """Texts in segments of the shape's length, and several instructions about each as rows of the last segment.

        A text is read whole, or it could not be asked about: of the shape's batch and number of segments only their tokens
        matter. They decide how many texts of about one length are read, at least one; shorter ones have the end of another
        before them.
        """
        shapes = shape.shapes(rng)
        examples, longest, count = self._draw(shape, rng, shapes)
        texts = torch.stack(
            [_behind(examples[number - 1].text, example.text, longest) for number, example in enumerate(examples)]
        )
        # As when an answer has no room beside what waits in the open segment, or when it has.
        rest = int(shapes.integers(min(shape.length // 2, MOST_REST) + 1)) if shapes.random() < 0.5 else 0
        closed = max(1, longest - rest)
        length = shape.length
        while shape.bucket is not None and length * BUCKET_PIECES < closed:
            length *= 2
        pieces = texts[:, :closed].split(length, 1)
        learned = set(shapes.choice(len(pieces), min(shape.backprop_segments, len(pieces)), replace=False).tolist())
        segments = [Segment(piece, None, backprop=s in learned) for s, piece in enumerate(pieces)]
        turns = []
        for text, example in zip(texts, examples, strict=True):
            order = rng.permutation(len(example.turns)).tolist()
            for number in range(count):
                turn = example.turns[order[number % len(order)]]
                prompt = torch.cat([text[closed:], torch.tensor(turn.instruction)])
                turns.append((prompt, torch.tensor(any_answer(turn.answers, rng))))
        return [*segments, question_segment(turns)]

    def _draw(
        self, shape: BatchShape, rng: np.random.Generator, shapes: np.random.Generator
    ) -> tuple[list[Example], int, int]:
        """Texts of about one length, the length of the longest, and how many instructions each is given."""
        room = shape.batch * shape.segments * shape.length
        number = len(self.examples)
        if shape.bucket is not None:
            # Longer ones would take segments longer than any that is read.
            number = max(1, sum(_length(example) <= BUCKET_TOKENS for example in self.examples))
        first = int(shapes.integers(number))
        count = min(number, max(1, room // _length(self.examples[first])))
        # Texts that may come with this bucket: more than a roll-out has, so that they are not always the same.
        width = count if shape.bucket is None else min(number, max(count, number // BUCKET_PARTS))
        start = min(max(0, first - width // 2), number - width)
        near = self.examples[start : start + width]
        turns = sum(len(example.turns) for example in near) // width
        examples = [near[int(place)] for place in rng.permutation(width)[:count]]
        return examples, _length(near[-1]), min(MOST_QUESTIONS, max(1, turns))


def _length(example: Example) -> int:
    return len(example.text)


def _behind(before: Tensor, text: Tensor, length: int) -> Tensor:
    """A text behind the end of another one, ``length`` tokens in all."""
    missing = length - len(text)
    filled = before.repeat(-(-missing // len(before)))
    return torch.cat([filled[len(filled) - missing :], text])


def any_answer(answers: Sequence[list[int]], rng: np.random.Generator) -> list[int]:
    """One of the right answers."""
    return answers[int(rng.integers(len(answers)))]


def asking(question: str) -> str:
    """A question as the instruction that people's questions are put in."""
    return prompts.fill("ask", question=question)


def asked_turn(loaded: Loaded, instruction: str, answers: Sequence[str]) -> AskedTurn:
    """An instruction and its answers in the base's chat template.

    Args:
        loaded: whose template and tokenizer to use.
        instruction: as a person would put it.
        answers: right ones.
    """
    return AskedTurn(loaded.turn(instruction), tuple(answered(loaded, answer.strip()) for answer in answers))


def answered(loaded: Loaded, answer: str) -> list[int]:
    """Token ids of an answer and of the end of its turn."""
    return [*loaded.encode(answer), *loaded.marks(answer_end(loaded.tokenizer))]


def question_task(loaded: Loaded, stories: Sequence[Story]) -> Instructions:
    """Questions about stories.

    Args:
        loaded: whose chat template and tokenizer to use.
        stories: those without a question are left out.
    """
    examples = []
    for story in stories:
        turns = tuple(asked_turn(loaded, asking(one.question), one.answers) for one in story.questions)
        if turns:
            examples.append(Example(torch.tensor(loaded.encode(story.text + "\n\n")), turns))
    return Instructions(examples)
