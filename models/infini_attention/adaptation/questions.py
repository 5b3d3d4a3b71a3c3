"""Training tasks that ask about a text read before: questions and summaries, in the base's chat template."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..chat import turn_end, turn_start
from ..loading import Loaded
from .rollout import Segment
from .stories import Story
from .tasks import Plan, question_segment

# Rows of one step: more questions about a text cost little beside reading it.
MOST_QUESTIONS = 8
# Tokens of the text that may still be in view: every row has to read them.
MOST_REST = 128


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """A text and what may be asked about it, as token ids: pairs of an instruction and its right answers."""

    text: Tensor
    turns: tuple[tuple[list[int], tuple[list[int], ...]], ...]


class Instructions:
    """Answer instructions about a text whose segments are closed, but for a rest that may still be in view.

    Args:
        name: of the task.
        examples: texts with at least one turn each.
    """

    def __init__(self, name: str, examples: Sequence[Example]) -> None:
        self.name, self.examples = name, examples

    def sample(self, plan: Plan, rng: np.random.Generator) -> list[Segment]:
        """One text, its segments of the plan's length, and several instructions about it as rows of the last one.

        The plan's batch and number of segments do not matter: a text is read whole, or it could not be asked about.
        """
        example = self.examples[int(rng.integers(len(self.examples)))]
        text = example.text
        # As when an answer has no room beside what waits in the open segment, or when it has.
        rest = int(rng.integers(min(plan.length // 2, MOST_REST) + 1)) if rng.random() < 0.5 else 0
        closed = max(1, len(text) - rest)
        pieces = text[:closed].split(plan.length)
        learned = set(rng.choice(len(pieces), min(plan.full, len(pieces)), replace=False).tolist())
        segments = [Segment(piece[None], None, full=s in learned) for s, piece in enumerate(pieces)]
        count = min(MOST_QUESTIONS, len(example.turns))
        turns = []
        for t in rng.choice(len(example.turns), count, replace=False):
            instruction, answers = example.turns[int(t)]
            answer = answers[int(rng.integers(len(answers)))]
            turns.append((torch.cat([text[closed:], torch.tensor(instruction)]), torch.tensor(answer)))
        return [*segments, question_segment(turns)]


def question_task(loaded: Loaded, stories: Sequence[Story], prompt: Callable[[str], str]) -> Instructions:
    """Questions about stories.

    Args:
        loaded: whose chat template and tokenizer to use.
        stories: those without a question are left out.
        prompt: a question to the instruction that asks it.
    """
    return _task(
        loaded, "questions", stories, lambda story: [(prompt(asked), right) for asked, right in story.questions]
    )


def summary_task(loaded: Loaded, stories: Sequence[Story], prompt: Callable[[int], str]) -> Instructions:
    """Summaries of stories.

    Args:
        loaded: whose chat template and tokenizer to use.
        stories: those without a summary are left out.
        prompt: a number of words to the instruction for a summary of about so many.
    """

    def turns(story: Story) -> list[tuple[str, tuple[str, ...]]]:
        # Told in tens, as a person would.
        return [(prompt(max(10, round(len(text.split()), -1))), (text,)) for text in story.summaries]

    return _task(loaded, "summaries", stories, turns)


def _task(
    loaded: Loaded,
    name: str,
    stories: Sequence[Story],
    turns: Callable[[Story], list[tuple[str, tuple[str, ...]]]],
) -> Instructions:
    end = turn_end(loaded.tokenizer).rstrip("\n") or "\n\n"
    examples = []
    for story in stories:
        asked = tuple(
            (
                loaded.encode(turn_start(loaded.tokenizer, instruction), special=True),
                tuple(loaded.encode(answer.strip() + end, special=True) for answer in answers),
            )
            for instruction, answers in turns(story)
        )
        if asked:
            examples.append(Example(torch.tensor(loaded.encode(story.text + "\n\n")), asked))
    return Instructions(name, examples)
