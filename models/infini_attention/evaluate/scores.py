"""Scores of answers and how sure they are, by well-kept packages (the extra ``eval``)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import InfiniError

CONFIDENCE = 0.95
# Scores between 0 and 1 that the bootstrap needs at least.
FEWEST = 5


def check_packages() -> None:
    """Refuses, before a long measurement, to do without the packages that its scores need.

    Raises:
        InfiniError: one is not installed.
    """
    try:
        import rouge_score  # noqa: F401
        import scipy  # noqa: F401
        import torchmetrics  # noqa: F401
    except ImportError as error:
        raise InfiniError(f"evaluation needs the package {error.name}", "pip install 'infini[eval]'") from error


def interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """The 95% confidence interval of a mean score.

    Wilson's for scores that are all 0 or 1; otherwise the bootstrap's percentiles (BCa), with a fixed seed, and
    ``None`` for too few scores to tell.

    Args:
        scores: at least one.
    """
    from scipy.stats import binomtest, bootstrap

    if set(scores) <= {0.0, 1.0}:
        found = binomtest(round(sum(scores)), len(scores)).proportion_ci(CONFIDENCE, "wilson")
        return float(found.low), float(found.high)
    if len(scores) < FEWEST or len(set(scores)) == 1:
        return None

    def mean(values: Sequence[float], axis: int) -> object:
        import numpy as np

        return np.mean(values, axis=axis)

    found = bootstrap((scores,), mean, confidence_level=CONFIDENCE, batch=100, rng=0).confidence_interval
    return float(found.low), float(found.high)


def question_scores(answer: str, references: Sequence[str]) -> dict[str, float]:
    """Token F1 and exact match of an answer as SQuAD counts them, and ROUGE-L, which NarrativeQA asks for: each the best
    over the right answers, 0 to 1."""
    from torchmetrics.functional.text import squad

    found = squad(
        [{"prediction_text": answer, "id": "0"}],
        [{"answers": {"answer_start": [0] * len(references), "text": list(references)}, "id": "0"}],
    )
    return {
        "f1": float(found["f1"]) / 100,
        "exact": float(found["exact_match"]) / 100,
        "rouge_l": rouge(answer, references)["rougeL"],
    }


def rouge(summary: str, references: Sequence[str]) -> dict[str, float]:
    """F-measures of ROUGE-1, -2 and -L, each the best over the references, and their geometric mean, 0 to 1."""
    from rouge_score.rouge_scorer import RougeScorer

    kinds = ["rouge1", "rouge2", "rougeL"]
    found = RougeScorer(kinds, use_stemmer=True).score_multi(list(references), summary)
    values = {kind: float(found[kind].fmeasure) for kind in kinds}
    return {**values, "mean": math.prod(values.values()) ** (1 / len(kinds))}
