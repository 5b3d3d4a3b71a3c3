"""Training tasks: each draws a batch of roll-outs of a planned shape."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..passkey import Passkey
from .rollout import IGNORED, Segment
from .texts import Corpus

# Segments that echoes draw one by one; a longer stretch repeats them.
CHAPTER = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Shape of a batch.

    Attributes:
        batch: sequences.
        segments: segments of each.
        length: tokens of a segment.
        full: how many last segments learn fully.
        echoes: how often hay may be written again, before a key and after it.
    """

    batch: int
    segments: int
    length: int
    full: int
    echoes: int = 0


class Task(Protocol):
    """Something to learn."""

    name: str

    def sample(self, plan: Plan, rng: np.random.Generator) -> list[Segment]:
        """Draws a batch of roll-outs."""


class LanguageModelling:
    """Predict every token of the segments that a memory stands behind, in consecutive segments of long texts."""

    name = "language_modelling"

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def sample(self, plan: Plan, rng: np.random.Generator) -> list[Segment]:
        count, length = plan.segments, plan.length
        window = torch.stack([self.corpus.window(count * length + 1, rng) for _ in range(plan.batch)])
        segments = []
        for s in range(count):
            # The first segment has no memory behind it: its loss is the base's, and nothing can change it.
            labelled = s >= max(1, count - plan.full)
            stretch = window[:, s * length : (s + 1) * length + 1]
            segments.append(Segment(stretch[:, :-1], stretch[:, 1:] if labelled else None, full=labelled))
        return segments


class PasskeyRecall:
    """Say a five-digit key that an earlier segment held.

    Args:
        passkey: the prompt's pieces as token ids.
        corpus: long texts to hide keys in; ``None`` hides them in the repeated filler only.
        book_share: how often the hay is a stretch of a text.
    """

    name = "passkey"

    def __init__(self, passkey: Passkey, corpus: Corpus | None, book_share: float = 0.5) -> None:
        self.passkey, self.corpus, self.book_share = passkey, corpus, book_share
        self.asked = passkey.question_tokens + passkey.answer_tokens
        self.hidden = len(passkey.intro) + len(passkey.needle(10_000))

    def fits(self, segments: int, length: int) -> bool:
        """Whether a key fits before the last segment, and the question and its answer into that."""
        return (segments - 1) * length >= self.hidden and length > self.asked

    def sample(self, plan: Plan, rng: np.random.Generator) -> list[Segment]:
        book = self.corpus is not None and rng.random() < self.book_share
        # The question's segment ends anywhere: after a short rest of the hay as well as after a long one.
        rest = int(rng.integers(0, max(1, plan.length - self.asked)))
        # With echoes, the keys of all rows stand in one segment, so that the others can be written again.
        together = int(rng.integers(plan.segments - 1)) if plan.echoes else None
        rows, labels, with_key = [], [], set[int]()
        for _ in range(plan.batch):
            before = (plan.segments - 1) * plan.length + rest
            key = self.passkey.draw(rng)
            hay = self._hay(before, book, rng)
            place = self._place(plan, before, together, rng)
            first, second = self.passkey.hide(hay, key, place)
            ends = len(first) + len(self.passkey.needle(key)) - 1
            with_key |= {len(first) // plan.length, ends // plan.length}
            prompt = torch.cat([first, second, self.passkey.question])
            answer = self.passkey.answer(key)
            rows.append(torch.cat([prompt, answer]))
            labels.append(torch.cat([torch.full((len(prompt),), IGNORED), answer]))
        ids, wanted = torch.stack(rows), torch.stack(labels)
        echoes = self._echoes(plan, with_key, rng) if plan.echoes else {}
        segments = []
        for s in range(plan.segments):
            start, end = s * plan.length, (s + 1) * plan.length
            if s + 1 < plan.segments:
                # Where the hay matters is not known to the model, so every write is learned, but cheaply.
                full = bool(rng.random() < plan.full / plan.segments)
                segments.append(Segment(ids[:, start:end], None, full, *echoes.get(s, ((), 1))))
            else:
                segments.append(Segment(ids[:, start:-1], wanted[:, start + 1 :], full=True))
        return segments

    def _place(self, plan: Plan, before: int, together: int | None, rng: np.random.Generator) -> float:
        """Where in the hay, 0 to 1: seldom in the open segment, where plain attention finds it."""
        closed = (plan.segments - 1) * plan.length
        if together is None:
            return rng.random() * (closed / max(before, 1) if rng.random() < 0.9 else 1)
        return float(np.clip((together + rng.random()) * plan.length / before, 0, 1))

    def _echoes(
        self, plan: Plan, with_key: set[int], rng: np.random.Generator
    ) -> dict[int, tuple[tuple[int, ...], int]]:
        """Segments written again and how often: after the one before the key, and after the last before the question."""
        made = {}
        for after, likely in ((min(with_key) - 1, 0.4), (plan.segments - 2, 0.9)):
            hay = [s for s in range(after + 1) if s not in with_key]
            # The introduction comes once, at the beginning, where there is any other hay.
            hay = hay[1:] if hay[:1] == [0] and len(hay) > 1 else hay
            if hay and after not in made and rng.random() < likely:
                # Every order of length counts, the longest ones more.
                count = int((plan.echoes + 1) ** np.sqrt(rng.random()))
                chapter = tuple(int(s) for s in rng.choice(hay, min(count, CHAPTER)))
                made[after] = (chapter, round(count / len(chapter)))
        return made

    def _hay(self, length: int, book: bool, rng: np.random.Generator) -> Tensor:
        if book and self.corpus is not None:
            return self.corpus.window(length, rng)
        return self.passkey.filler(length, offset=int(rng.integers(len(self.passkey.filler_ids))))
