"""Sentences that stand for a text: those that share most with the rest of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..documents.language import language_of
from .search import stems
from .telling import LEAST_WORDS, telling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What a text says first introduces the rest: the weight that its first sentence gains by it, and after how many sentences
# the gain is a third of that. Chosen, like the weights of `telling`, on SQuALITY's training split.
LEAD, LEAD_SENTENCES = 0.5, 5
# Of the walk from sentence to sentence: the chance of its next step, and how many there are.
DAMPING = 0.85
STEPS = 50


def ranked(sentences: Sequence[str], focus: str | None = None, weights: Sequence[float] | None = None) -> list[int]:
    """Numbers of the sentences, the most central one first.

    A sentence counts by how much it shares with others that count (LexRank), how well it tells something alone, and how
    early it stands.

    Args:
        sentences: In reading order.
        focus: What the reader asks about: sentences that speak of it come first.
        weights: What else each of them counts by.
    """
    import numpy as np

    language = language_of(" ".join(sentences))
    words = stems(sentences, language)
    if not any(words):
        return list(range(len(sentences)))
    short = np.array([len(sentence.split()) < LEAST_WORDS for sentence in sentences])
    told = np.array(telling(sentences)) * (1.0 if weights is None else np.array(weights))
    scores = centrality(words) * told * (1 + LEAD * np.exp(-np.arange(len(sentences)) / LEAD_SENTENCES))
    near = told * _asked_for(words, focus, language)
    return sorted(range(len(sentences)), key=lambda n: (bool(short[n]), -float(near[n]), -float(scores[n]), n))


def centrality(words: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """How often a walk comes to each sentence that goes from one to the next by how similar they are, 1 on average.

    LexRank with continuous weights (Erkan and Radev, 2004): similarity is the cosine of the sentences' words, each weighted
    by how few sentences have it. The matrix of similarities, which would not fit for a book, is never made.

    Args:
        words: Of each sentence.
    """
    import numpy as np

    number: dict[str, int] = {}
    for word in (word for own in words for word in own):
        number.setdefault(word, len(number))
    counts = [Counter(own) for own in words]
    rows = np.repeat(np.arange(len(words)), [len(count) for count in counts])
    columns = np.array([number[word] for count in counts for word in count], dtype=np.int64)
    often = np.array([times / max(count.values()) for count in counts for times in count.values()])
    values = often * np.log(len(words) / np.bincount(columns, minlength=len(number)))[columns]
    lengths = np.sqrt(np.bincount(rows, values**2, minlength=len(words)))
    values /= np.where(lengths > 0, lengths, 1)[rows]

    def similar(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of the weights of all sentences, each by its similarity."""
        shared = np.bincount(columns, values * weights[rows], minlength=len(number))
        return np.bincount(rows, values * shared[columns], minlength=len(words)).astype(np.float64)

    total = similar(np.ones(len(words)))
    # A sentence like no other leads nowhere.
    ways = np.divide(1, total, out=np.zeros(len(words)), where=total > 0)
    visits = np.ones(len(words))
    for _ in range(STEPS):
        visits = 1 - DAMPING + DAMPING * similar(visits * ways)
    return visits


def _asked_for(words: Sequence[Sequence[str]], focus: str | None, language: str | None) -> NDArray[np.float64]:
    """How well each sentence is found by what the reader asks about."""
    import bm25s
    import numpy as np

    wanted = stems([focus], language)[0] if focus else []
    if not wanted:
        return np.zeros(len(words))
    index = bm25s.BM25()
    index.index(words, show_progress=False)
    return np.asarray(index.get_scores(wanted), dtype=np.float64)
