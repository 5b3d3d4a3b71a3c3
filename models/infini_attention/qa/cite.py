"""Where an answer's passages stand, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..documents.span import Span
from ..text.kept import KeptText
from ..text.passages import Passage
from .retrieve import Found


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
            "evidence": round(one.evidence, 4),
        }
        for one in found
    ]


def place_record(span: Span | None) -> dict[str, Any]:
    """Pages for programs: physical ones, and as they are printed."""
    return {
        "pages": None if span is None else list(span.pages),
        "labels": None if span is None or span.labels is None else list(span.labels),
    }
