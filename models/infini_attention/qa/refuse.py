"""Whether a text tells what is asked: how much its best passage makes of the question, and a reranker of its passages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .found import Found

if TYPE_CHECKING:
    from .. import Loaded

# What a person reads where it does not.
TOLD = "The document does not seem to tell."


# What a reranker's logit weighs beside a nat a word, and the logit that speaks neither for nor against. Questions were told
# from those of another text, 120 each: with evidence alone in 0.89 of all pairs on whole novels and 0.98 on tales, with both
# in 0.91 and 1.00.
JUDGED_WEIGHT, JUDGED_NEUTRAL = 0.3, 1.0


def support(question: str, found: Sequence[Found]) -> float:
    """How much speaks for the question's being answered, in nats a word; 0 without a passage.

    That is how much likelier the question is once its best passage is read again, and what the reranker makes of the best
    one, where there is one. A question of another book names what no passage knows: the likelihood of an answer that
    refuses, and the words that passages share with the question, tell the two apart far less (see `benchmarks.refusal`).
    """
    evidence = max((one.evidence for one in found if one.evidence is not None), default=0.0)
    judged = max((one.judged for one in found if one.judged is not None), default=JUDGED_NEUTRAL)
    return evidence / max(1, len(question.split())) + JUDGED_WEIGHT * (judged - JUDGED_NEUTRAL)


def refuses(loaded: Loaded, question: str, found: Sequence[Found]) -> bool:
    """Whether an answer is to be refused: never where the model's recipe has no threshold.

    Args:
        loaded: The model.
        question: As the person put it.
        found: The passages that speak most for it.
    """
    threshold = loaded.recipe.refuse_below
    return threshold is not None and support(question, found) < threshold
