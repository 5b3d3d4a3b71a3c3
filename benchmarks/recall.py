"""What the default model's memory knows: passkeys by length and depth, and the loss on running text.

    python -m benchmarks.recall [--length 4096] [--trials 5] [--texts FILE|DIR]

Prints a JSON object a line. With ``--texts``, also the loss on the last of 8 segments of 1,024 tokens: the segment
alone, with its own memory, with another text's, and under the base's full attention.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
from infini_attention import load
from infini_attention.adaptation.texts import load_corpus
from infini_attention.base import cache_dir
from infini_attention.evaluation import passkey, perplexity


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--length", default="4096")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seed", type=int, default=20_240_410)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--shape", default="8x1024", help="segments x tokens of a segment")
    options = parser.parse_args()
    loaded = load(options.model)
    lengths = [int(part) for part in options.length.split(",") if part]
    for use_memory in (True, False) if lengths else ():
        passkey.run(
            loaded,
            lengths,
            trials=options.trials,
            seed=options.seed,
            use_memory=use_memory,
            on_cell=lambda cell, on=use_memory: print(  # type: ignore[misc]
                json.dumps({"memory": on, **dataclasses.asdict(cell)}), flush=True
            ),
        )
    if options.texts is not None:
        segments, length = (int(part) for part in options.shape.split("x"))
        corpus = load_corpus(options.texts, loaded.encode, loaded.origin.base, cache_dir() / "tokens", held_out=True)
        rng = np.random.default_rng(options.seed)
        windows = [corpus.window(segments * length + 1, rng) for _ in range(options.windows)]
        score = perplexity.last_segment(loaded, windows, segments, length)
        print(json.dumps({"shape": options.shape, **dataclasses.asdict(score), "perplexity": score.perplexities()}))


if __name__ == "__main__":
    main()
