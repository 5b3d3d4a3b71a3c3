"""Keys far back: many keys a step, and between them and their questions hay by the hundred thousand tokens."""

from __future__ import annotations

import numpy as np
import torch

from ..data.corpus import Corpus
from ..data.passkey import Passkey
from .segments import Segment
from .tasks import BatchShape, draw_hay, question_segment

# Segments that replays draw one by one; a longer stretch repeats them.
CHAPTER = 16
# Tokens of hay that may stand in view before the question: every row has to read them.
MOST_REST = 128
# Keys of a step and process, or the shape's batch where that is larger.
MOST_ROWS = 16
# How often a segment ends within the keys.
TORN = 0.4
# A text fills a memory much faster than the filler does, which is the same again and again.
BOOK_FILLS = 4


class DistantRecall:
    """Say a five-digit key that was read long ago. Most of the hay is written by replays, not read (see ``segment_replay``).

    Either the key stands at the beginning and hay is read after it, or hay is read once for all rows and each row has a
    segment with a key after that. Rows then differ in their keys alone, so that a step learns from many of them.

    Args:
        passkey: the prompt's pieces as token ids.
        corpus: long texts to hide keys in; ``None`` hides them in the repeated filler only.
        book_share: how often the hay is a stretch of a text.
    """

    name = "distant_passkey"

    def __init__(self, passkey: Passkey, corpus: Corpus | None, book_share: float = 0.5) -> None:
        self.passkey, self.corpus, self.book_share = passkey, corpus, book_share

    def fits(self, segments: int, length: int) -> bool:
        """Whether a key and the introduction fit into one segment."""
        return length >= len(self.passkey.intro) + len(self.passkey.needle(10_000))

    def sample(self, shape: BatchShape, rng: np.random.Generator) -> list[Segment]:
        """Half of the shape's tokens go into segments with keys: the shorter these, the more keys there are."""
        corpus = self.corpus if rng.random() < self.book_share else None
        shapes = shape.shapes(rng)
        draw = self._at_the_start if shapes.random() < 0.3 else self._in_the_middle
        return draw(shape, corpus, rng, shapes)

    def _at_the_start(
        self, shape: BatchShape, corpus: Corpus | None, rng: np.random.Generator, shapes: np.random.Generator
    ) -> list[Segment]:
        rows = min(max(MOST_ROWS, shape.batch), max(1, shape.batch * shape.segments // 2))
        keys = [self.passkey.draw(rng) for _ in range(rows)]
        stretches = []
        for key in keys:
            # As often right behind the introduction, as the test has it, as anywhere in the segment. The other segment
            # must not hold any part of a key: it is written again.
            hay = draw_hay(self.passkey, corpus, 2 * shape.length, rng)
            spare = len(self.passkey.intro) + len(self.passkey.needle(key))
            most = (shape.length - spare) / (len(hay) - spare + 1)
            depth = 0.0 if rng.random() < 0.5 else rng.random() * most
            stretches.append(torch.cat(self.passkey.hide(hay, key, depth)))
        ids = torch.stack(stretches)
        first, second = ids.split(shape.length, 1)
        replayed, times = draw_replays(shape, [1], corpus, rng, shapes)
        backprop = bool(shapes.random() < shape.backprop_segments / 4)
        return [
            Segment(first, backprop=backprop),
            Segment(second, None, False, replayed, times),
            self._question(keys, corpus, rng, shapes),
        ]

    def _in_the_middle(
        self, shape: BatchShape, corpus: Corpus | None, rng: np.random.Generator, shapes: np.random.Generator
    ) -> list[Segment]:
        count = max(2, shape.segments - 1)
        hay = draw_hay(self.passkey, corpus, count * shape.length, rng)
        pieces = torch.cat([self.passkey.intro, hay])[: count * shape.length].split(shape.length)
        least = len(self.passkey.needle(10_000))
        length = int(least * (shape.length / least) ** shapes.random())
        rows = min(max(MOST_ROWS, shape.batch), max(2, shape.batch * shape.segments * shape.length // (2 * length)))
        keys, stretches = [self.passkey.draw(rng) for _ in range(rows)], []
        # Segments end anywhere, within a key too: then all rows have theirs at one place.
        torn = shapes.random() < TORN
        places = (
            np.full(rows, shapes.integers(length - least + 1)) if torn else rng.integers(length - least + 1, size=rows)
        )
        for key, place in zip(keys, places.tolist(), strict=True):
            around = draw_hay(self.passkey, corpus, length - least, rng)
            stretches.append(torch.cat([around[:place], self.passkey.needle(key), around[place:]]))
        own = torch.stack(stretches).tensor_split([int(places[0] + shapes.integers(1, least))] if torn else [], 1)
        sources = list(range(count))
        before = draw_replays(shape, sources, corpus, rng, shapes) if shapes.random() < 0.5 else ((), 1)
        after = draw_replays(shape, sources, corpus, rng, shapes)
        return [
            *(Segment(piece[None], backprop=False) for piece in pieces[:-1]),
            Segment(pieces[-1][None], None, False, *before),
            *(Segment(piece, None, bool(shapes.random() < shape.backprop_segments / 4)) for piece in own[:-1]),
            Segment(own[-1], None, bool(shapes.random() < shape.backprop_segments / 4), *after),
            self._question(keys, corpus, rng, shapes),
        ]

    def _question(
        self, keys: list[int], corpus: Corpus | None, rng: np.random.Generator, shapes: np.random.Generator
    ) -> Segment:
        rest = draw_hay(self.passkey, corpus, int((MOST_REST + 1) ** shapes.random()), rng)
        prompt = torch.cat([rest, self.passkey.question])
        return question_segment((prompt, self.passkey.answer(key)) for key in keys)


def draw_replays(
    shape: BatchShape, hay: list[int], corpus: Corpus | None, rng: np.random.Generator, shapes: np.random.Generator
) -> tuple[tuple[int, ...], int]:
    """Numbers of segments to write again, and how often. Every order of length counts, the longest ones more.

    Args:
        shape: says how many there may be.
        hay: numbers of the segments to choose from.
        corpus: where these were drawn from; ``None``: the filler.
        rng: draws how often.
        shapes: draws the numbers (see ``BatchShape.shapes``).
    """
    most = shape.replayed_segments if corpus is None else shape.replayed_segments // BOOK_FILLS
    if not most:
        return (), 1
    if shape.bucket is None:
        count = int((most + 1) ** np.sqrt(rng.random()))
        chapter = min(count, CHAPTER)
    else:
        # Whatever the hay is, so much of it there may be.
        chapter = min(int(shapes.choice([1, CHAPTER // 4, CHAPTER])), max(1, shape.replayed_segments // BOOK_FILLS))
        count = chapter * int((most // chapter + 1) ** np.sqrt(rng.random()))
    return tuple(int(s) for s in shapes.choice(hay, chapter)), round(count / chapter)
