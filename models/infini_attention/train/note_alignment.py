"""Texts in parts, and what a summary of the whole says of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..text.passages import sentence_texts


def cut(text: str, words: int) -> list[str]:
    """A text in parts of about so many words, which end with a sentence."""
    parts: list[list[str]] = [[]]
    count = 0
    for sentence in sentence_texts(text):
        if count >= words:
            parts.append([])
            count = 0
        parts[-1].append(sentence)
        count += len(sentence.split())
    return [" ".join(part) for part in parts if part]


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
        for sentence in sentence_texts(summary):
            (question,) = tokens([sentence])
            scores = index.get_scores(question) if question else np.zeros(len(parts))
            if scores.max() > 0:
                notes[int(scores.argmax())].append(sentence)
    return [" ".join(note) for note in notes]
