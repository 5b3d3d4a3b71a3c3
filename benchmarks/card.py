"""Puts the scores of a recipe into its card, as tables.

    infini eval passkey --length 4k --json -o models/infini_attention/recipes/smollm2-135m/scores/passkey.json
    python -m benchmarks.card [--recipe smollm2-135m]

Every JSON file in the recipe's folder ``scores`` is a report of ``infini eval``; the card's part between the two markers
is written anew from them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infini_attention.model.recipe import DEFAULT, HERE, read

from infini_cli.output import figure

BEGIN, END = "<!-- scores: written by benchmarks.card -->", "<!-- scores: end -->"
# What a report is about, in the order in which it is told; the rest is in its file.
TOLD = ("system", "texts", "seed", "dtype")


def tables(scores: Mapping[str, Any]) -> str:
    """Reports as Markdown, one heading and table each."""
    return "\n\n".join(_table(name, report) for name, report in scores.items())


def written(card: str, scores: Mapping[str, Any]) -> str:
    """The card with its scores written anew.

    Raises:
        ValueError: it has no place for them.
    """
    head, begin, rest = card.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the card has no {BEGIN} and {END}")
    return f"{head}{begin}\n\n{tables(scores)}\n\n{end}{tail}"


def _table(name: str, report: Mapping[str, Any]) -> str:
    cells = report["cells"]
    columns = [column for column in cells[0] if column not in ("low", "high")]
    lines = [
        f"`{name}`: {report['task']}, " + ", ".join(f"{key} {report[key]}" for key in TOLD if key in report) + "\n",
        "| " + " | ".join([*columns, "95% interval"]) + " |",
        "|" + " --- |" * (len(columns) + 1),
    ]
    for cell in cells:
        between = "too few trials" if cell["low"] is None else f"{cell['low']:.3f} to {cell['high']:.3f}"
        lines.append("| " + " | ".join([*(figure(cell[column]) for column in columns), between]) + " |")
    told = [f"{key.replace('_', ' ')} {figure(value)}" for key, value in report["summary"].items()]
    return "\n".join([*lines, *(["", "; ".join(told)] if told else [])])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default=DEFAULT)
    folder: Path = HERE / parser.parse_args().recipe
    card = folder / "README.md"
    card.write_text(written(card.read_text(encoding="utf-8"), read(folder).reports), encoding="utf-8")


if __name__ == "__main__":
    main()
