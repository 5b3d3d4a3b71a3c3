"""Training task that takes notes: what a summary says of a part of a text, with that part in view and the rest behind."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.stories import Story
from ..model.chat import answer_end, turn_start
from ..model.loading import Loaded
from .segments import Segment
from .tasks import Plan, question_segment

# Words of a part, all of which are in view for its note, and of a note.
PART_WORDS = 400
LEAST_WORDS, MOST_WORDS = 10, 80
# Rows of one step; each has a whole part in view.
MOST_ROWS = 3
# A closing mark belongs to the sentence before it; a title does not end one.
_SENTENCE_END = re.compile(
    r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?:(?<=[.!?])|(?<=[.!?][\"'\u2019\u201d)]))\s+"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Noted:
    """A part of a text and the notes on it.

    Attributes:
        end: tokens of the text up to the part's end.
        notes: instruction with the part in it, and note, as token ids.
    """

    end: int
    notes: tuple[tuple[list[int], list[int]], ...]


class NoteTaking:
    """Say what happens in a part of a text that is in view, in the words of a summary of the whole.

    Summaries know who is who: what a part does not tell has to come from memory.

    Args:
        examples: texts as token ids, each with at least one part that has a note.
    """

    name = "notes"

    def __init__(self, examples: Sequence[tuple[Tensor, tuple[Noted, ...]]]) -> None:
        self.examples = examples

    def sample(self, plan: Plan, rng: np.random.Generator) -> list[Segment]:
        """A text as far as a part, the plan's segments of it at most, and notes on the last parts as rows."""
        text, parts = self.examples[int(rng.integers(len(self.examples)))]
        last = int(rng.integers(len(parts)))
        end = parts[last].end
        behind = text[max(0, end - plan.segments * plan.length) : end]
        segments = [Segment(piece[None], None, full=False) for piece in behind.split(plan.length)]
        known = [note for part in parts[: last + 1] if part.end > end - len(behind) for note in part.notes]
        chosen = rng.choice(len(known), min(MOST_ROWS, len(known)), replace=False).tolist()
        turns = [(torch.tensor(known[n][0]), torch.tensor(known[n][1])) for n in chosen]
        return [*segments, question_segment(turns)]


def note_task(loaded: Loaded, stories: Sequence[Story], prompt: Callable[[int, str], str]) -> NoteTaking:
    """Notes on the parts of stories.

    Args:
        loaded: whose chat template and tokenizer to use.
        stories: those without a summary are left out.
        prompt: a number of words and a text to the instruction for a note on it.
    """
    close = answer_end(loaded.tokenizer)
    examples = []
    for story in stories:
        parts = cut(story.text)
        found: list[list[str]] = [[] for _ in parts]
        for summary in story.summaries:
            for number, note in enumerate(aligned(parts, summary)):
                if LEAST_WORDS <= len(note.split()) <= MOST_WORDS:
                    found[number].append(note)
        ids: list[int] = []
        noted = []
        for part, notes in zip(parts, found, strict=True):
            ids += loaded.encode(part + "\n\n")
            turns = []
            for note in notes:
                instruction = turn_start(loaded.tokenizer, prompt(max(10, round(len(note.split()), -1)), part))
                turns.append((loaded.encode(instruction, special=True), loaded.encode(note + close, special=True)))
            if turns:
                noted.append(Noted(len(ids), tuple(turns)))
        if noted:
            examples.append((torch.tensor(ids), tuple(noted)))
    return NoteTaking(examples)


def cut(text: str, words: int = PART_WORDS) -> list[str]:
    """A text in parts of about so many words, which end with a sentence."""
    parts: list[list[str]] = [[]]
    count = 0
    for sentence in _SENTENCE_END.split(text.strip()):
        if count >= words:
            parts.append([])
            count = 0
        parts[-1].append(sentence)
        count += len(sentence.split())
    return [" ".join(part) for part in parts if any(part)]


def aligned(parts: Sequence[str], summary: str) -> list[str]:
    """For each part the sentences of a summary that share more with it (BM25) than with any other, in a row."""
    import bm25s

    def tokens(texts: Sequence[str]) -> list[list[str]]:
        found: list[list[str]] = bm25s.tokenize(list(texts), stopwords="en", return_ids=False, show_progress=False)
        return found

    notes: list[list[str]] = [[] for _ in parts]
    words = tokens(parts)
    if any(words):
        index = bm25s.BM25()
        index.index(words, show_progress=False)
        for sentence in _SENTENCE_END.split(summary.strip()):
            (question,) = tokens([sentence])
            scores = index.get_scores(question) if question else np.zeros(len(parts))
            if scores.max() > 0:
                notes[int(scores.argmax())].append(sentence)
    return [" ".join(note) for note in notes]
