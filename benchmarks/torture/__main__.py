"""Everything that can go wrong, done on purpose and counted.

    python -m benchmarks.torture [--quick] [--seed N] [--part NAME ...] [--count N] [--output DIR]

Each part runs in a process of its own. Prints a table; writes it and a JSON file to the folder. Ends with 1 if anything
was found that should not be. Linux only: it looks into /proc, and lets the kernel forbid sockets.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from benchmarks.torture.forks import forked
from benchmarks.torture.results import Result

# Part: how many in a full run, and in a quick one.
PARTS = {
    # First, from a process without torch.
    "documents": (5_000, 40),
    "kills": (200, 2),
    "states": (10_000, 250),
    "options": (1, 1),
    "interrupts": (40, 1),
    "sockets": (6, 1),
    "soak": (2_000_000, 80_000),
    "privacy": (10, 1),
}
# Seconds; longer than any part takes.
_LONGEST = 6 * 3600
ROOT = Path(__file__).parents[2]
_HEAD = "| what | tried | what came of it | faults |\n|---|---|---|---|"


def main() -> int:
    """Run the parts that are asked for; 1 if there were faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="counts that take a minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--part", action="append", choices=list(PARTS), help="only this one; may be given several times"
    )
    parser.add_argument("--count", type=int, help="instead of the usual one")
    parser.add_argument("--output", type=Path, help="folder for torture.json and torture.md")
    given = parser.parse_args()
    # What stands beside this file is tortured, whatever else is installed; started processes find it too.
    sys.path.insert(0, str(ROOT / "models"))
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    results = []
    for part in [part for part in PARTS if part in (given.part or PARTS)]:
        count = given.count or PARTS[part][given.quick]
        results.append(_in_a_process(part, count, given.seed))
        print(f"{results[-1].row()} {results[-1].seconds:.0f} s", file=sys.stderr, flush=True)
        for fault in results[-1].faults[:50]:
            print(f"  {fault}", file=sys.stderr, flush=True)
    table = "\n".join([_HEAD, *(result.row() for result in results)])
    print(table)
    if given.output is not None:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "torture.md").write_text(f"{table}\n")
        about = {"seed": given.seed, "results": [result.value() for result in results]}
        (given.output / "torture.json").write_text(json.dumps(about, indent=2) + "\n")
    return int(any(result.faults for result in results))


def _in_a_process(part: str, count: int, seed: int) -> Result:
    """What a part found, in a process that is forked from this one."""
    if part != "documents":
        # Once for all parts: importing takes longer than some of them.
        for module in ("torch", "transformers.models.llama", "infini_attention.session", "infini_cli.commands.read"):
            import_module(module)
    ended = forked(lambda send: send(_done(part, count, seed).value()), seconds=_LONGEST)
    if ended.code != 0 or not ended.answers:
        return Result(part, 0, "finished", faults=[f"the part itself ended with {ended.code}"])
    return Result(**ended.answers[0])


def _done(part: str, count: int, seed: int) -> Result:
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="infini-torture-") as folder:
        result: Result = import_module(f"benchmarks.torture.{part}").run(Path(folder), count, seed)
    result.seconds = time.monotonic() - start
    return result


if __name__ == "__main__":
    sys.exit(main())
