"""Whether a text tells what is asked: how much its best passage makes of the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .retrieve import Found

if TYPE_CHECKING:
    from .. import Loaded

# What a person reads where it does not.
TOLD = "The document does not seem to tell."


def support(question: str, found: Sequence[Found]) -> float:
    """How much likelier the question is once its best passage is read again, in nats a word; 0 without a passage.

    A question of another book names what no passage knows: the likelihood of an answer that refuses, and the words that
    passages share with the question, tell the two apart far less (see `benchmarks.refusal`).
    """
    return max((one.evidence for one in found), default=0.0) / max(1, len(question.split()))


def refuses(loaded: Loaded, question: str, found: Sequence[Found]) -> bool:
    """Whether an answer is to be refused: never where the model's recipe has no threshold.

    Args:
        loaded: The model.
        question: As the person put it.
        found: The passages that speak most for it.
    """
    threshold = loaded.recipe.refuse_below
    return threshold is not None and support(question, found) < threshold
