"""Needles and facts that change: sentences hidden in hay, and long after them a question that needs some of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..data import facts, needles
from ..data.corpus import Corpus
from ..data.hiding import Hidden, Planter
from ..data.passkey import Passkey
from .distant_passkeys import MOST_REST, draw_replays
from .segments import Segment
from .tasks import BatchShape, draw_hay, question_segment

# Rows of one step, or the shape's batch where that is larger: what a row adds is a segment or two and its question.
MOST_ROWS = 12
# Questions to a row of facts; there are about so many about a story.
FACT_QUESTIONS = 4
# Questions to a row of keys: another key of the same sentences has another value, so this must be found by its key and not
# by the form of its sentence, which all share.
KEY_QUESTIONS = 4
# Draws that decide how long the rows of a bucket are.
BUCKET_DRAWS = 40
# Most sentences of the same form beside the one that is asked about.
MOST_DISTRACTORS = 12
# How often there is a text behind the sentences and between them, rather than the filler.
BOOK_SHARE = 0.7
# How often the sentences stand in the first segment. Nothing is in memory there, so the hidden states that are written are
# others than later: trained without it, needles were found wherever they stood but there.
FIRST_SHARE = 0.5
# How much more often these are drawn than other kinds of needles: a key and its value is what all of them are made of.
USUAL_KINDS, USUAL_TIMES = ("filler_number", "number", "uuid", "number_of_four"), 3


class HiddenRecall:
    """Answer questions about sentences that were hidden in hay and read long ago.

    Each row has its own sentences in as little hay as a few tokens or as much as some segments; they may fall into several
    segments. Either they stand at the beginning, or hay is read before, once for all rows. Then hay comes again, most of
    it by replays (``deltanet`` only), then the questions, which cost little beside the reading. A shape of two segments has
    no hay before or behind the sentences, nor before a question: what is to be learned is learned soonest so.

    Args:
        name: of the task.
        draws: kinds of what is hidden; each row takes one of them. A draw gives all questions about the same sentences.
        questions: put to each row, one after the other, those that there are in turn.
        planter: puts sentences into hay.
        passkey: the filler.
        corpus: long texts to hide in; ``None`` hides in the filler only.
        put: what was hidden to the token ids of its question and of its answer; by default as tests put it, with the answer
            begun.
    """

    def __init__(
        self,
        name: str,
        draws: Sequence[Callable[[np.random.Generator], Sequence[Hidden]]],
        questions: int,
        planter: Planter,
        passkey: Passkey,
        corpus: Corpus | None,
        put: Callable[[Hidden, np.random.Generator], tuple[list[int], list[int]]] | None = None,
    ) -> None:
        self.put = self._as_tested if put is None else put
        self.name, self.draws, self.questions = name, draws, questions
        self.planter, self.passkey, self.corpus = planter, passkey, corpus

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Segment]:
        """About half of the shape's tokens go into the rows' own segments."""
        corpus = self.corpus if rng.random() < BOOK_SHARE else None
        shapes = shape.shapes(rng)
        if shape.segments == 2:
            return self._alone(shape, corpus, rng, shapes)
        draw = self._at_the_start if shapes.random() < FIRST_SHARE else self._in_the_middle
        return draw(shape, corpus, rng, shapes)

    def _alone(
        self, shape: BatchShape, corpus: Corpus | None, rng: np.random.Generator, shapes: np.random.Generator
    ) -> list[Segment]:
        rows, hidden = self._rows(shape, corpus, rng, shapes)
        own = [Segment(piece, None, self._backprop(shape, shapes)) for piece in rows.split(shape.length, 1)]
        return [*own, self._questions(hidden, corpus, rng, shapes, 0)]

    def _at_the_start(
        self, shape: BatchShape, corpus: Corpus | None, rng: np.random.Generator, shapes: np.random.Generator
    ) -> list[Segment]:
        rows, hidden = self._rows(shape, corpus, rng, shapes)
        own = rows.split(shape.length, 1)
        length = max(1, min(shape.length, _room(shape) // len(rows)))
        hay = draw_hay(self.passkey, corpus, length, rng).expand(len(rows), -1)
        return [
            *(Segment(piece, None, self._backprop(shape, shapes)) for piece in own),
            Segment(hay, None, False, *draw_replays(shape, [len(own)], corpus, rng, shapes)),
            self._questions(hidden, corpus, rng, shapes),
        ]

    def _in_the_middle(
        self, shape: BatchShape, corpus: Corpus | None, rng: np.random.Generator, shapes: np.random.Generator
    ) -> list[Segment]:
        count = max(1, shape.segments - 2)
        hay = draw_hay(self.passkey, corpus, count * shape.length, rng).split(shape.length)
        rows, hidden = self._rows(shape, corpus, rng, shapes)
        sources = list(range(count))
        before = draw_replays(shape, sources, corpus, rng, shapes) if shapes.random() < 0.5 else ((), 1)
        own: list[Segment] = []
        for piece in rows.split(shape.length, 1):
            last = sum(segment.ids.shape[1] for segment in own) + piece.shape[1] == rows.shape[1]
            after = draw_replays(shape, sources, corpus, rng, shapes) if last or shapes.random() < 0.5 else ((), 1)
            own.append(Segment(piece, None, self._backprop(shape, shapes), *after))
        return [
            *(Segment(piece[None], backprop=False) for piece in hay[:-1]),
            Segment(hay[-1][None], None, False, *before),
            *own,
            self._questions(hidden, corpus, rng, shapes),
        ]

    @staticmethod
    def _backprop(shape: BatchShape, shapes: np.random.Generator) -> bool:
        return bool(shapes.random() < shape.backprop_segments / 4)

    def _rows(
        self, shape: BatchShape, corpus: Corpus | None, rng: np.random.Generator, shapes: np.random.Generator
    ) -> tuple[Tensor, list[Sequence[Hidden]]]:
        # Hay between the sentences: of as many segments as the shape has beside those with hay alone and with questions.
        spare = int((shape.length * max(1, shape.segments - 2) + 1) ** shapes.random())
        room, most = _room(shape), max(MOST_ROWS, shape.batch)
        drawn: list[tuple[Sequence[Hidden], list[Tensor]]] = []
        if shape.bucket is not None:
            # As long as the longest of some, and the rest filled up with hay.
            longest = max(_size(self._needles(shapes)[1]) for _ in range(BUCKET_DRAWS)) + spare
            most = max(1, min(most, room // longest))
            while len(drawn) < most:
                row = self._needles(rng)
                if _size(row[1]) <= longest:
                    drawn.append(row)
            return self._planted(drawn, longest, corpus, rng)
        longest = 0
        while len(drawn) < most:
            row = self._needles(rng)
            longest = max(longest, _size(row[1]) + spare)
            if drawn and longest * (len(drawn) + 1) > room:
                longest = max(_size(sentences) for _, sentences in drawn) + spare
                break
            drawn.append(row)
        return self._planted(drawn, longest, corpus, rng)

    def _needles(self, rng: np.random.Generator) -> tuple[Sequence[Hidden], list[Tensor]]:
        hidden = self.draws[int(rng.integers(len(self.draws)))](rng)
        return hidden, self.planter.needles(hidden[0])

    def _planted(
        self,
        drawn: Sequence[tuple[Sequence[Hidden], list[Tensor]]],
        length: int,
        corpus: Corpus | None,
        rng: np.random.Generator,
    ) -> tuple[Tensor, list[Sequence[Hidden]]]:
        rows = []
        for _, sentences in drawn:
            hay = draw_hay(self.passkey, corpus, length - _size(sentences), rng)
            rows.append(self.planter.plant(sentences, hay, rng))
        return torch.stack(rows), [hidden for hidden, _ in drawn]

    def _questions(
        self,
        rows: Sequence[Sequence[Hidden]],
        corpus: Corpus | None,
        rng: np.random.Generator,
        shapes: np.random.Generator,
        most: int = MOST_REST,
    ) -> Segment:
        rest = draw_hay(self.passkey, corpus, int((most + 1) ** shapes.random()) if most else 0, rng)
        turns = (self.put(hidden, rng) for asked in rows for hidden in self._chosen(asked, rng))
        return question_segment(
            (torch.cat([rest, torch.tensor(prompt)]), torch.tensor(answer)) for prompt, answer in turns
        )

    def _as_tested(self, hidden: Hidden, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        return self.planter.encode(hidden.prompt), self.planter.encode(hidden.answer)

    def _chosen(self, asked: Sequence[Hidden], rng: np.random.Generator) -> list[Hidden]:
        order = rng.permutation(len(asked)).tolist()
        return [asked[order[number % len(asked)]] for number in range(self.questions)]


def _size(sentences: Sequence[Tensor]) -> int:
    return sum(map(len, sentences))


def _room(shape: BatchShape) -> int:
    """Tokens that all rows may fill together."""
    return max(shape.length, shape.batch * shape.segments * shape.length // 2)


def needle_draws() -> list[Callable[[np.random.Generator], Sequence[Hidden]]]:
    """Every kind of needle, with its question, as often as it is to be drawn; distractors in any number."""

    def alone(kind: str, rng: np.random.Generator) -> Sequence[Hidden]:
        return [needles.draw(kind, rng)]

    return [
        functools.partial(_among_others if kind in needles.KEYED else alone, kind)
        for kind in needles.KINDS
        for _ in range(USUAL_TIMES if kind in USUAL_KINDS else 1)
    ]


def key_draws() -> list[Callable[[np.random.Generator], Sequence[Hidden]]]:
    """Needles of one form in any number, with the question for each key."""
    return [functools.partial(_among_others, kind) for kind in needles.KEYED]


def fact_draws() -> list[Callable[[np.random.Generator], Sequence[Hidden]]]:
    """Every task of facts that change, with all that can be asked about a story."""
    return [functools.partial(facts.draw_all, task) for task in facts.TASKS]


def _among_others(kind: str, rng: np.random.Generator) -> Sequence[Hidden]:
    return needles.draw_all(kind, rng, int(MOST_DISTRACTORS ** rng.random()))
