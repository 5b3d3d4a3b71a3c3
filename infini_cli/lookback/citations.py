"""Where an answer's passages stand, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infini_cli.lookback.finder import Found
from infini_cli.lookback.kept import KeptText
from infini_cli.lookback.passages import Passage


def place(passage: Passage, texts: Sequence[KeptText]) -> str:
    """Such as `p. 112, Chapter 9` or `p. xii`, as printed where the file tells; with the source's name where there are several, or nothing else is known."""
    parts = []
    if passage.pages is not None:
        first, last = passage.labels or passage.pages
        parts.append(f"p. {first}" if first == last else f"pp. {first}-{last}")
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
            "pages": None if one.passage.pages is None else list(one.passage.pages),
            "labels": None if one.passage.labels is None else list(one.passage.labels),
            "heading": one.passage.heading,
            "text": one.passage.text,
            "words": round(one.words, 4),
            "evidence": round(one.evidence, 4),
        }
        for one in found
    ]
