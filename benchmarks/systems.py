"""The systems of the paper's Table 2 on the same base, side by side: the table of docs/evaluation.md.

    python -m benchmarks.systems --texts books.jsonl.gz --runs runs > benchmarks/systems.json
    python -m benchmarks.systems --write

Systems that need training are trained alike, for a short while; the default model as it comes, ``infini``, is beside them.
The folder ``runs`` holds what ``infini adapt --fresh --recipe benchmarks/systems.toml`` trained: ``linear`` and ``delta``
(with ``--rule``), ``deltanet``, and ``rmt`` (with ``--system``); a system whose folder is missing is left out. Each text
is read by all systems before the next one is begun, so that their speeds belong to the same minutes. A run that was
stopped goes on. The second command puts the table into that page.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from infini_attention import Loaded, load_model
from infini_attention.data.corpus import load_corpus
from infini_attention.data.passkey import Passkey
from infini_attention.evaluate.baselines import system
from infini_attention.evaluate.journal import Journal
from infini_attention.evaluate.passkeys import grid
from infini_attention.evaluate.perplexity import cache_bytes, losses
from infini_attention.evaluate.probes import run
from infini_attention.model.weights import cache_dir
from torch import Tensor

from benchmarks.shared import put_between
from infini_cli.output import emit_json

HERE = Path(__file__).resolve().parent
REPORT, PAGE = HERE / "systems.json", HERE.parent / "docs" / "evaluation.md"
BEGIN, END = "<!-- systems: written by benchmarks.systems -->", "<!-- systems: end -->"
PLAIN = ("local", "full", "window", "sinks", "knn")
TRAINED = {"rmt": "rmt", "linear": "memory", "delta": "memory", "deltanet": "memory"}
DEPTHS = (0, 50, 100)


@dataclass
class Competitor:
    """A system in the race.

    Attributes:
        name: As the table has it.
        kind: As ``infini eval --system`` has it.
        loaded: Its model.
        about: What its figures depend on.
        trained: How, for the table.
    """

    name: str
    kind: str
    loaded: Loaded
    about: Mapping[str, Any]
    trained: str = "-"

    def loss(self, number: int, text: Tensor) -> dict[str, float]:
        """Nats a token, seconds and bytes of state, on a text of that number."""
        journal = self._journal("loss")
        figures = journal.get(0, number)
        if figures is None:
            reader, began = system(self.loaded, self.kind), time.monotonic()
            nats = losses(reader, self.loaded.model, text, self.loaded.config.segment_length)
            seconds = time.monotonic() - began
            figures = {"nats": float(nats.mean()), "seconds": seconds, "state_bytes": float(reader.state_bytes)}
            journal.put(0, number, figures)
        return figures

    def recall(self, length: int, keys: int, seed: int) -> float:
        """The share of passkeys in filler that is named, over start, middle and end."""
        series = grid(Passkey(self.loaded.encode), [length], DEPTHS, keys, seed)
        reader = system(self.loaded, self.kind)
        found = run(reader, self.loaded.tokenizer.decode, series, record=self._journal("recall"))
        return sum(each.mean for each in found) / len(found)

    def _journal(self, what: str) -> Journal:
        about = {**self.about, "task": "systems", "what": what, "system": self.name}
        return Journal(cache_dir() / "evaluations", self.loaded.origin, about)


def measured(
    race: Sequence[Competitor], texts: Sequence[Tensor], keys: int, seed: int, keyless: Collection[str] = ()
) -> list[dict[str, Any]]:
    """A row for each system.

    Args:
        race: The systems.
        texts: Token ids, all of one length.
        keys: Passkeys at each depth.
        seed: Of the passkeys.
        keyless: Names of systems that are not asked for passkeys.
    """
    tokens = len(texts[0]) - 1
    losses_of: dict[str, list[dict[str, float]]] = {one.name: [] for one in race}
    for number, text in enumerate(texts):
        for one in race:
            losses_of[one.name].append(one.loss(number, text))
            print(f"{one.name}: text {number + 1} of {len(texts)}", file=sys.stderr, flush=True)
    rows = []
    for one in race:
        figures = losses_of[one.name]
        state = max(each["state_bytes"] for each in figures)
        rows.append(
            {
                "system": one.name,
                "trained": one.trained,
                "perplexity": math.exp(sum(each["nats"] for each in figures) / len(figures)),
                "passkeys": None if one.name in keyless else one.recall(tokens, keys, seed),
                "state_bytes": int(state),
                "compression": cache_bytes(one.loaded.model, tokens) / state if state else None,
                "tokens_per_second": tokens * len(figures) / sum(each["seconds"] for each in figures),
            }
        )
        print(f"{one.name}: keys done", file=sys.stderr, flush=True)
    return rows


def table(report: Mapping[str, Any]) -> str:
    """A report as Markdown."""
    texts, keys = report["texts"], report["keys"]
    told = (
        f"{texts} stretch{'es' if texts > 1 else ''} of {report['length']:,} tokens of unseen books, and {keys} "
        f"passkey{'s' if keys > 1 else ''} each at the start, in the middle and at the end of as much filler ({report['dtype']}, "
        f"{report['threads']} thread{'s' if report['threads'] > 1 else ''}):\n"
    )
    lines = [
        told,
        "| system | trained | perplexity | passkeys | state | compression | tokens/s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in report["rows"]:
        state = f"{row['state_bytes'] / 1e6:.2f} MB" if row["state_bytes"] else "none"
        ratio = f"{row['compression']:.0f}x" if row["compression"] else "-"
        recall = "not run" if row["passkeys"] is None else f"{row['passkeys']:.2f}"
        cells = [row["system"], row["trained"], f"{row['perplexity']:.2f}", recall, state, ratio]
        lines.append("| " + " | ".join([*cells, f"{row['tokens_per_second']:.0f}"]) + " |")
    return "\n".join(lines)


def written(page: str, report: Mapping[str, Any]) -> str:
    """The page with its table written anew.

    Raises:
        ValueError: It has no place for one.
    """
    return put_between(page, BEGIN, END, lambda: table(report))


def _steps(loaded: Loaded) -> int:
    return sum(phase["steps"] for phase in loaded.recipe.training["phases"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--length", type=int, default=32_768)
    parser.add_argument("--limit", type=int, default=2)
    parser.add_argument("--keys", type=int, default=1)
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--keyless", default="", help="names, with commas, of systems that are not asked for passkeys")
    parser.add_argument("--model", default="smollm2-135m", help="whose base the systems without training have")
    parser.add_argument(
        "--write", action="store_true", help="put the table of benchmarks/systems.json into docs/evaluation.md"
    )
    options = parser.parse_args()
    if options.write:
        report = json.loads(REPORT.read_text(encoding="utf-8"))
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), report), encoding="utf-8")
        return
    if options.texts is None or options.runs is None:
        parser.error("--texts and --runs are needed")
    default = load_model(options.model)
    about = {"length": options.length, "limit": options.limit, "keys": options.keys, "seed": options.seed}
    race = [Competitor(name, name, default, about) for name in PLAIN]
    for name, kind in TRAINED.items():
        if (options.runs / name).is_dir():
            trained = load_model(str(options.runs / name))
            race.append(Competitor(name, kind, trained, about, f"{_steps(trained)} steps"))
    race.append(Competitor("infini", "memory", default, about, "as shipped"))
    corpus = load_corpus(options.texts, default.encode, default.origin.base, cache_dir() / "tokens", held_out=True)
    blocks = corpus.blocks(options.length + 1, options.limit, np.random.default_rng(options.seed))
    rows = measured(race, blocks, options.keys, options.seed, options.keyless.split(","))
    dtype = str(default.placement.dtype).removeprefix("torch.")
    emit_json(
        {
            "schema": "benchmarks.systems/1",
            **about,
            "texts": len(blocks),
            "dtype": dtype,
            "threads": torch.get_num_threads(),
            "rows": rows,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
