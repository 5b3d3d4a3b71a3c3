"""Tokens a second of an answer: weights in float32, in 8 bits, and llama.cpp on the GGUF file that the weights came from.

    python -m benchmarks.decoding [--model NAME] [--gguf FILE] [--threads 1] [--tokens 24] [--repeats 5]

They take turns, so that whatever else the machine does slows all of them alike. llama.cpp is left out where no file is given or
the package llama-cpp-python is not installed: it is none of our extras, because it has to be compiled.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from infini_attention import load_model
from infini_attention.memory.engine import IN_FULL
from infini_attention.memory.stand_ins import WEIGHTS, stand_ins
from infini_attention.model.adapters import load_lora
from infini_attention.model.loading import Loaded

PROMPT = 128


class Speed(NamedTuple):
    """Tokens a second, of a prompt and of what follows it."""

    prefill: float
    decoding: float


Run = Callable[[Sequence[int], int], Speed]


def timed(answer: Iterator[object], prompt: int, skipped: int) -> Speed:
    """The speed of an answer: its first token takes the prompt, and some behind it are not counted."""
    start = time.perf_counter()
    next(answer)
    prefill = prompt / (time.perf_counter() - start)
    for _ in range(skipped):
        next(answer)
    start = time.perf_counter()
    count = sum(1 for _ in answer)
    return Speed(prefill, count / (time.perf_counter() - start))


def ours(loaded: Loaded, weights: str, adapter: Any) -> Run:
    """The model itself, with its reader in force if it has one."""
    found = stand_ins(loaded.model)
    if found is None:
        raise SystemExit("the model does not run in float32 on a processor: there is nothing to compare")

    def run(prompt: Sequence[int], tokens: int) -> Speed:
        found.weights = weights
        engine = loaded.engine(use_memory=False)
        engine.adapter = adapter
        # The last of those that are not counted makes the weights in 8 bits.
        return timed(engine.generate(prompt, tokens + IN_FULL + 2), len(prompt), IN_FULL + 1)

    return run


def llama_cpp(gguf: Path | None, threads: int) -> Run | None:
    """llama.cpp on a GGUF file; ``None`` where there is none."""
    try:
        library: Any = importlib.import_module("llama_cpp")
    except ImportError:
        print("llama.cpp is left out: llama-cpp-python is not installed", file=sys.stderr)
        return None
    if gguf is None:
        print("llama.cpp is left out: name a file with --gguf", file=sys.stderr)
        return None
    model = library.Llama(str(gguf), n_ctx=1024, n_threads=threads, n_threads_batch=threads, verbose=False)

    def steps(prompt: Sequence[int], tokens: int) -> Iterator[object]:
        model.reset()
        model.eval(list(prompt))
        for _ in range(tokens):
            token = model.sample(temp=0)
            yield token
            model.eval([token])

    return lambda prompt, tokens: timed(steps(prompt, tokens + 2), len(prompt), 1)


def compared(runs: dict[str, Run], vocabulary: int, tokens: int, repeats: int) -> dict[str, Any]:
    """Median speeds of several, which take turns, and each turn's ratios."""
    draw = torch.Generator().manual_seed(0)
    prompt = torch.randint(1000, vocabulary, (PROMPT,), generator=draw).tolist()
    found: dict[str, list[Speed]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            found[name].append(run(prompt, tokens))
    report: dict[str, Any] = {
        name: {kind: round(statistics.median(getattr(one, kind) for one in own), 2) for kind in Speed._fields}
        for name, own in found.items()
    }
    for name in runs:
        if name != "int8":
            ratios = [own.decoding / other.decoding for own, other in zip(found["int8"], found[name], strict=True)]
            report[f"int8 / {name}"] = [round(f(ratios), 2) for f in (min, statistics.median, max)]
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    loaded = load_model(arguments.model, device="cpu", dtype="fp32")
    reader = load_lora(loaded.model, "reader", loaded.recipe.reader_file)
    runs = {weights: ours(loaded, weights, reader) for weights in WEIGHTS}
    if (other := llama_cpp(arguments.gguf, arguments.threads)) is not None:
        runs["llama.cpp"] = other
    words = min(len(loaded.tokenizer), 40_000)
    report = compared(runs, words, arguments.tokens, arguments.repeats)
    print(json.dumps({"model": arguments.model, "threads": arguments.threads, "n": arguments.repeats, **report}))


if __name__ == "__main__":
    main()
