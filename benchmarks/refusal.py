"""What a model's `refuse_below` should be: how much texts support questions of their own, and of other texts.

    python -m benchmarks.refusal --data questions.jsonl.gz --limit 60 [--model NAME] [--most 0.08]

Prints the threshold at which so many answerable questions at most are refused, and how many of the others are then.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from infini_attention import load_model
from infini_attention.data.stories import load_stories
from infini_attention.evaluate.probes import run
from infini_attention.evaluate.refusals import refusals
from infini_attention.qa.refuse import support


def threshold_at(answerable: list[float], most: float) -> float:
    """The highest threshold below which no more than a share of the answerable questions lie."""
    order = sorted(answerable)
    return order[min(int(most * len(order)), len(order) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--most", type=float, default=0.08)
    parser.add_argument("--model", default="smollm2-135m")
    arguments = parser.parse_args()
    loaded = load_model(arguments.model)
    series = refusals(loaded, load_stories(arguments.data), arguments.limit, support)
    results = run(loaded.engine(), loaded.tokenizer.decode, series)
    answerable, foreign = (list(one.scores) for one in results)
    threshold = threshold_at(answerable, arguments.most)
    print(
        json.dumps(
            {
                "questions": len(answerable),
                "refuse_below": round(threshold, 3),
                "refused_answerable": sum(each < threshold for each in answerable) / len(answerable),
                "refused_unanswerable": sum(each < threshold for each in foreign) / len(foreign),
                "answerable": [round(each, 3) for each in answerable],
                "unanswerable": [round(each, 3) for each in foreign],
            }
        )
    )


if __name__ == "__main__":
    main()
