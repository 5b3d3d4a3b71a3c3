"""A passage that speaks for a question, and how much."""

from __future__ import annotations

from dataclasses import dataclass

from ..text.passages import Passage


@dataclass(frozen=True)
class Found:
    """A passage that speaks for a question.

    Attributes:
        passage: The passage.
        words: How well its words match, as `Search` scores it.
        evidence: How many nats likelier the question is once the passage is read again; None where nobody asked.
        judged: What the reranker makes of it, a logit; None without one.
    """

    passage: Passage
    words: float
    evidence: float | None
    judged: float | None = None
