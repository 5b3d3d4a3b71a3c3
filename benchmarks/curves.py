"""How a training run went, by tokens seen: the loss of each task, what was recalled, and what memory is worth.

    python -m benchmarks.curves runs/gpu/log.jsonl -o curves.png [--measured 65536000:last-1.json 131072000:last-2.json]

Several logs are runs that went on from one another, in order. A measured file is a report of ``benchmarks.last_segment``
of the model as it was after so many tokens of all of them. The extra ``plot`` draws.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Steps that a line's point is the mean of: one step is a few rows of one draw.
SMOOTH = 10
# What stands behind the segment whose loss is measured, and what the line is called.
BEHIND = {"alone": "nothing", "other": "another text's memory", "own": "its own memory", "all": "all of it in view"}

Line = list[tuple[int, float]]


def steps_of(logs: Iterable[Path]) -> list[dict[str, Any]]:
    """The steps of runs that went on from one another, with the tokens of all before counted."""
    steps: list[dict[str, Any]] = []
    for log in logs:
        before = steps[-1]["tokens"] if steps else 0
        records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        steps += [{**record, "tokens": before + record["tokens"]} for record in records]
    return steps


def lines_of(steps: Sequence[Mapping[str, Any]], value: str) -> dict[str, Line]:
    """For each task, tokens seen and the mean of a value over some steps; tasks that are seldom drawn have fewer points."""
    found: dict[str, Line] = {}
    for task in dict.fromkeys(step["task"] for step in steps):
        own = [step for step in steps if step["task"] == task]
        groups = [own[first : first + SMOOTH] for first in range(0, len(own), SMOOTH)]
        found[task] = [(group[-1]["tokens"], sum(step[value] for step in group) / len(group)) for group in groups]
    return found


def measured_of(reports: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, Line]:
    """For each thing that may stand behind the last segment, tokens seen and its loss."""
    found: dict[str, Line] = {name: [] for name in BEHIND.values()}
    for tokens, report in sorted(reports, key=lambda pair: pair[0]):
        for cell in report["cells"]:
            found[BEHIND[cell["behind"]]].append((tokens, cell["score"]))
    return found


def draw(path: Path, panels: Mapping[str, Mapping[str, Line]]) -> None:
    """Writes an image with a panel for each unit, one above the other; what has no line is left out."""
    from matplotlib.figure import Figure

    shown = {unit: lines for unit, lines in panels.items() if any(lines.values())}
    figure = Figure(figsize=(7, 2.6 * len(shown)), layout="constrained")
    for axes, (unit, lines) in zip(figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown.items(), strict=True):
        for name, line in lines.items():
            axes.plot(*zip(*line, strict=True), marker=".", label=name)
        axes.set_ylabel(unit)
        axes.legend(fontsize="small")
    axes.set_xlabel("tokens seen")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("--measured", nargs="*", default=[], metavar="TOKENS:FILE")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    steps = steps_of(options.logs)
    pairs = [one.split(":", 1) for one in options.measured]
    reports = [(int(tokens), json.loads(Path(file).read_text(encoding="utf-8"))) for tokens, file in pairs]
    panels = {
        "loss, nats a token": lines_of(steps, "loss"),
        "tokens right": lines_of(steps, "accuracy"),
        "last segment, nats a token,\nbehind it": measured_of(reports) if reports else {},
    }
    draw(options.output, panels)


if __name__ == "__main__":
    main()
