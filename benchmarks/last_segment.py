"""What memory is worth on running text: the loss on the last of several segments, by what stands behind it.

    python -m benchmarks.last_segment --texts FILE|DIR [--shape 8x1024] [--windows 6]

Prints a JSON object as ``infini eval`` does: nats a token of the segment alone, with its own memory, with another text's,
and under the base's attention over all segments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from infini_attention import load_model
from infini_attention.data.corpus import load_corpus
from infini_attention.evaluate.measuring import cells_of
from infini_attention.evaluate.perplexity import last_segment
from infini_attention.model.weights import cache_dir

from benchmarks.shared import about
from infini_cli.output import emit_json


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--shape", default="8x1024", help="segments x tokens of a segment")
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    segments, length = (int(part) for part in options.shape.split("x"))
    loaded = load_model(options.model)
    corpus = load_corpus(options.texts, loaded.encode, loaded.origin.base, cache_dir() / "tokens", held_out=True)
    rng = np.random.default_rng(options.seed)
    windows = [corpus.window(segments * length + 1, rng) for _ in range(options.windows)]
    told = {
        **about(loaded, "last_segment", options.texts),
        "seed": options.seed,
        "segments": segments,
        "length": length,
    }
    emit_json({**told, "cells": cells_of(last_segment(loaded, windows, segments, length)), "summary": {}}, sys.stdout)


if __name__ == "__main__":
    main()
