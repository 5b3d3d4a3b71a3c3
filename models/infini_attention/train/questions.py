"""Training tasks that ask about a text read before: questions and summaries, in the base's chat template."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.stories import Question, Story
from ..model.chat import answer_end, turn_start
from ..model.loading import Loaded
from ..qa.evidence import REFUSAL
from .segments import Segment
from .tasks import Plan, question_segment

# Rows of one step: more questions about a text cost little beside reading it, unless parts of it are read again.
MOST_QUESTIONS = 8
MOST_LOOKS = 5
# Tokens of the text that may still be in view: every row has to read them.
MOST_REST = 128

# After looking back: passages that may be in view beside the right one, and the most tokens of that and of the others.
MOST_BESIDE = 2
MOST_EVIDENCE = 400
MOST_OTHER = 200
# Parts of all texts, by length, that those of a form are drawn from one of.
FORM_PARTS = 4
# The most segments and tokens of a text of a form.
FORM_PIECES, FORM_TOKENS = 8, 8192
# How often what is asked stands in another text, so that the right answer is to refuse one.
UNANSWERABLE = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class AskedTurn:
    """An instruction and what to make of it, as token ids.

    Attributes:
        instruction: in the chat template.
        answers: right ones, at least one, with the end of the turn.
        evidence: the part of the text that the answer stands in, where that is known.
    """

    instruction: list[int]
    answers: tuple[list[int], ...]
    evidence: list[int] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """A text as token ids, and what may be asked about it."""

    text: Tensor
    turns: tuple[AskedTurn, ...]


# An instruction, its right answers, and the part of the text with the answer, where that is known.
Turn = tuple[str, tuple[str, ...], str | None]


class Instructions:
    """Answer instructions about a text whose segments are closed, but for a rest that may still be in view.

    Args:
        name: of the task.
        examples: texts with at least one turn each.
        distil: learn from what the base answers with the text in its context, which it has to fit into.
    """

    def __init__(self, name: str, examples: Sequence[Example], *, distil: bool = False) -> None:
        self.name, self.distil = name, distil
        self.examples = sorted(examples, key=_length)

    def sample(self, plan: Plan, rng: np.random.Generator) -> list[Segment]:
        """Texts in segments of the plan's length, and several instructions about each as rows of the last segment.

        A text is read whole, or it could not be asked about: of the plan's batch and number of segments only their tokens
        matter. They decide how many texts of about one length are read, at least one; shorter ones have the end of another
        before them.
        """
        shapes = plan.shapes(rng)
        examples, longest, count = self._draw(plan, rng, shapes)
        texts = torch.stack(
            [_behind(examples[number - 1].text, example.text, longest) for number, example in enumerate(examples)]
        )
        # As when an answer has no room beside what waits in the open segment, or when it has.
        rest = int(shapes.integers(min(plan.length // 2, MOST_REST) + 1)) if shapes.random() < 0.5 else 0
        closed = max(1, longest - rest)
        length = plan.length
        while plan.form is not None and length * FORM_PIECES < closed:
            length *= 2
        pieces = texts[:, :closed].split(length, 1)
        learned = set(shapes.choice(len(pieces), min(plan.full, len(pieces)), replace=False).tolist())
        segments = [Segment(piece, None, full=s in learned) for s, piece in enumerate(pieces)]
        turns = []
        for text, example in zip(texts, examples, strict=True):
            order = rng.permutation(len(example.turns)).tolist()
            for number in range(count):
                turn = example.turns[order[number % len(order)]]
                prompt = torch.cat([text[closed:], torch.tensor(turn.instruction)])
                turns.append((prompt, torch.tensor(any_answer(turn.answers, rng))))
        return [*segments, dataclasses.replace(question_segment(turns), distil=self.distil)]

    def _draw(
        self, plan: Plan, rng: np.random.Generator, shapes: np.random.Generator
    ) -> tuple[list[Example], int, int]:
        """Texts of about one length, the length of the longest, and how many instructions each is given."""
        room = plan.batch * plan.segments * plan.length
        number = len(self.examples)
        if plan.form is not None:
            # Longer ones would take segments longer than any that is read.
            number = max(1, sum(_length(example) <= FORM_TOKENS for example in self.examples))
        first = int(shapes.integers(number))
        count = min(number, max(1, room // _length(self.examples[first])))
        # Texts that may come with this form: more than a roll-out has, so that they are not always the same.
        width = count if plan.form is None else min(number, max(count, number // FORM_PARTS))
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


class LookingBack:
    """Answer questions about a text that was read, with the right part of it in view again, and other parts too.

    Memory is full of the rest meanwhile: a model that was taught to answer from it has to learn when to read instead.
    Now and then the question is another text's, and the answer that nothing tells (see ``REFUSAL``).

    Args:
        name: of the task.
        examples: texts with at least one turn each whose evidence is known.
        refusal: as token ids, with the end of the turn.
    """

    def __init__(self, name: str, examples: Sequence[Example], refusal: list[int]) -> None:
        self.name, self.refusal = name, refusal
        self.examples = [
            Example(example.text, turns)
            for example in examples
            if (turns := tuple(turn for turn in example.turns if turn.evidence))
        ]

    def sample(self, plan: Plan, rng: np.random.Generator) -> list[Segment]:
        """A text's first segments, and several questions as rows of the last one.

        The plan's batch does not matter; of the text no more is read than its segments, for the answers are in view.
        """
        number = int(rng.integers(len(self.examples)))
        example = self.examples[number]
        behind = example.text[: plan.segments * plan.length]
        segments = [Segment(piece[None], None, full=False) for piece in behind.split(plan.length)]
        order = rng.permutation(len(example.turns)).tolist()
        turns = []
        for t in order[:MOST_LOOKS]:
            turn = example.turns[t]
            beside = [example.turns[other] for other in order if example.turns[other].evidence != turn.evidence]
            view = [(turn.evidence or [])[:MOST_EVIDENCE]]
            view += [(other.evidence or [])[:MOST_OTHER] for other in beside[: int(rng.integers(MOST_BESIDE + 1))]]
            asked, answer = turn.instruction, any_answer(turn.answers, rng)
            if len(self.examples) > 1 and rng.random() < UNANSWERABLE:
                asked, answer = self._foreign(number, rng), self.refusal
            passages = [view[v] for v in rng.permutation(len(view)).tolist()]
            turns.append((torch.tensor([*itertools.chain(*passages), *asked]), torch.tensor(answer)))
        return [*segments, question_segment(turns)]

    def _foreign(self, number: int, rng: np.random.Generator) -> list[int]:
        """An instruction about another text than that of a number."""
        other = self.examples[(number + int(rng.integers(1, len(self.examples)))) % len(self.examples)]
        return other.turns[int(rng.integers(len(other.turns)))].instruction


def any_answer(answers: Sequence[list[int]], rng: np.random.Generator) -> list[int]:
    """One of the right answers."""
    return answers[int(rng.integers(len(answers)))]


def asked_turn(loaded: Loaded, instruction: str, answers: Sequence[str], evidence: str | None) -> AskedTurn:
    """An instruction and its answers in the base's chat template.

    Args:
        loaded: whose template and tokenizer to use.
        instruction: as a person would put it.
        answers: right ones.
        evidence: the part of the text that the answer stands in, where that is known.
    """
    end = answer_end(loaded.tokenizer)
    return AskedTurn(
        loaded.encode(turn_start(loaded.tokenizer, instruction), special=True),
        tuple(loaded.encode(answer.strip() + end, special=True) for answer in answers),
        None if evidence is None else loaded.encode(evidence + "\n\n"),
    )


def question_task(loaded: Loaded, stories: Sequence[Story], prompt: Callable[[str], str]) -> Instructions:
    """Questions about stories.

    Args:
        loaded: whose chat template and tokenizer to use.
        stories: those without a question are left out.
        prompt: a question to the instruction that asks it.
    """
    return Instructions("questions", _asked(loaded, stories, prompt))


def passage_task(
    loaded: Loaded, stories: Sequence[Story], prompt: Callable[[str], str], *, distil: bool = False
) -> Instructions:
    """Questions about the one part of a story that answers them, which is all that was read.

    Args:
        loaded, stories, prompt: see ``question_task``; questions without evidence are left out.
        distil: learn from the base that has the part in its context, instead of the right answers.
    """
    parts: dict[str, list[Question]] = {}
    for question in (question for story in stories for question in story.questions):
        if question.evidence:
            parts.setdefault(question.evidence, []).append(question)
    alone = [Story(text, tuple(questions)) for text, questions in parts.items()]
    name = "instructed_distillation" if distil else "passage_questions"
    return Instructions(name, _asked(loaded, alone, prompt), distil=distil)


def look_back_task(loaded: Loaded, stories: Sequence[Story], prompt: Callable[[str], str]) -> LookingBack:
    """Questions about stories with the right part of the story in view.

    Args:
        loaded, stories, prompt: see ``question_task``; questions without evidence are left out.
    """
    refusal = loaded.encode(REFUSAL + answer_end(loaded.tokenizer), special=True)
    return LookingBack("look_back", _asked(loaded, stories, prompt), refusal)


def _asked(loaded: Loaded, stories: Sequence[Story], prompt: Callable[[str], str]) -> list[Example]:
    return _examples(
        loaded, stories, lambda story: [(prompt(q.question), q.answers, q.evidence) for q in story.questions]
    )


def summary_task(loaded: Loaded, stories: Sequence[Story], prompt: Callable[[int], str]) -> Instructions:
    """Summaries of stories.

    Args:
        loaded: whose chat template and tokenizer to use.
        stories: those without a summary are left out.
        prompt: a number of words to the instruction for a summary of about so many.
    """

    def turns(story: Story) -> list[Turn]:
        # Told in tens, as a person would.
        return [(prompt(max(10, round(len(text.split()), -1))), (text,), None) for text in story.summaries]

    return Instructions("summaries", _examples(loaded, stories, turns))


def _examples(loaded: Loaded, stories: Sequence[Story], turns: Callable[[Story], list[Turn]]) -> list[Example]:
    examples = []
    for story in stories:
        asked = tuple(asked_turn(loaded, *turn) for turn in turns(story))
        if asked:
            examples.append(Example(torch.tensor(loaded.encode(story.text + "\n\n")), asked))
    return examples
