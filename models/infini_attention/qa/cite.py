"""Where an answer's passages stand, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..documents.span import Span
from ..text.kept import KeptText
from ..text.passages import Passage
from ..text.search import Search, stems
from .found import Found

# Of an answer's words that carry meaning, the share that a passage has to have for the answer to rest on it, and the most
# passages that are cited for one.
RESTS = 0.6
MOST_CITED = 3


def place(passage: Passage, texts: Sequence[KeptText]) -> str:
    """Such as `p. 112, Chapter 9` or `p. xii`, as printed where the file tells; the source's name comes first where there
    are several, or nothing else is known."""
    parts = [] if passage.span is None else [str(passage.span)]
    if passage.heading is not None:
        parts.append(passage.heading)
    if len(texts) > 1 or not parts:
        parts.insert(0, texts[passage.source].name)
    return ", ".join(parts)


def line(found: Sequence[Found], texts: Sequence[KeptText]) -> str:
    """All places in one pair of brackets, the best one's first, each once."""
    return f"({'; '.join(dict.fromkeys(place(one.passage, texts) for one in found))})"


def record(found: Sequence[Found], texts: Sequence[KeptText]) -> list[dict[str, Any]]:
    """The passages for programs, the best one first."""
    return [
        {
            "source": texts[one.passage.source].name,
            **place_record(one.passage.span),
            "heading": one.passage.heading,
            "text": one.passage.text,
            "words": round(one.words, 4),
            "evidence": None if one.evidence is None else round(one.evidence, 4),
        }
        for one in found
    ]


def place_record(span: Span | None) -> dict[str, Any]:
    """Pages for programs: physical ones, and as they are printed."""
    return {
        "pages": None if span is None else list(span.pages),
        "labels": None if span is None or span.labels is None else list(span.labels),
    }


def resting(found: Sequence[Found], question: str, answer: str) -> tuple[Found, ...]:
    """Of the passages in view, those that an answer rests on, the best one first: not all that were there.

    They have most of the answer's words; where none has, the one whose words match the question and the answer best.

    Args:
        found: The passages, the best one first.
        question: As the person put it.
        answer: What was answered.
    """
    if len(found) < 2:
        return tuple(found)
    own, wanted = stems([one.passage.text for one in found]), set(stems([answer])[0])
    shared = [len(wanted.intersection(words)) for words in own]
    if wanted and max(shared) >= RESTS * len(wanted):
        most = max(shared)
        return tuple(one for one, count in zip(found, shared, strict=True) if count == most)[:MOST_CITED]
    scores = Search([one.passage for one in found]).scores(f"{question} {answer}")
    return (found[max(range(len(found)), key=lambda number: scores[number])],)
