"""Sentences that stand for a text: those that share most with the rest of it."""

from __future__ import annotations

from collections.abc import Sequence

from infini_cli.lookback.search import stems
from infini_cli.summaries.telling import telling

# Fragments, titles and cries say little alone.
LEAST_WORDS = 6


def ranked(sentences: Sequence[str], focus: str | None = None) -> list[int]:
    """Numbers of the sentences, the most central one first.

    A sentence counts by how well it is found (BM25) with every other one as the question, each weighted by its length,
    and by how well it tells something alone.

    Args:
        sentences: In reading order.
        focus: What the reader asks about: sentences that speak of it come first.
    """
    import bm25s
    import numpy as np

    words = stems(sentences)
    if not any(words):
        return list(range(len(sentences)))
    index = bm25s.BM25()
    index.index(words, show_progress=False)
    scores = np.zeros(len(sentences))
    for number, question in enumerate(words):
        if question:
            found = np.array(index.get_scores(question))
            found[number] = 0
            scores += found / len(question)
    short = np.array([len(sentence.split()) < LEAST_WORDS for sentence in sentences])
    # No more than the words that are shared counts, not how many a sentence has.
    scores /= np.sqrt(np.maximum(1, [len(own) for own in words]))
    weights = np.array(telling(sentences))
    scores *= weights
    wanted = stems([focus])[0] if focus else []
    near = weights * index.get_scores(wanted) if wanted else np.zeros(len(sentences))
    return sorted(range(len(sentences)), key=lambda n: (bool(short[n]), -float(near[n]), -float(scores[n]), n))


def chosen(order: Sequence[int], sizes: Sequence[int], room: int) -> list[int]:
    """Numbers of the most central sentences that fit into a room together, in reading order.

    Args:
        order: As `ranked` gives it.
        sizes: What each sentence takes of the room.
        room: How much there is.
    """
    if sum(sizes) <= room:
        return sorted(order)
    kept = []
    for number in order:
        if sizes[number] <= room:
            kept.append(number)
            room -= sizes[number]
    return sorted(kept)
