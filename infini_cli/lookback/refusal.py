"""Whether what was read tells at all: how ready the model is to refuse an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infini_attention import Engine, Loaded

# What a person reads then.
TOLD = "The document does not seem to tell."


def readiness(loaded: Loaded, engine: Engine, view: Sequence[int], prompt: Sequence[int]) -> float:
    """Log-likelihood of a refusal, in nats, after what was read, what is in view again, and a question.

    Args:
        loaded: The model.
        engine: What was read; it stays as it is.
        view: Token ids that are read again.
        prompt: Token ids of the question in its template; with the view and a refusal it fits into a segment.
    """
    from infini_attention.evidence import REFUSAL, log_likelihoods

    refusal = loaded.encode(REFUSAL)
    (found,) = log_likelihoods(engine, [[*view, *prompt, *refusal]], len(refusal)).tolist()
    return float(found)


def refuses(loaded: Loaded, engine: Engine, view: Sequence[int], prompt: Sequence[int]) -> bool:
    """Whether an answer is to be refused: never by a model that was not calibrated for it.

    Args:
        loaded, engine, view, prompt: See `readiness`.
    """
    threshold = loaded.recipe.refuse_above
    return threshold is not None and readiness(loaded, engine, view, prompt) > threshold
