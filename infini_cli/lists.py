"""Options that are lists: lengths, depths, and names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from infini_attention.errors import UsageFailure

from infini_cli.values import MOST

_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}
_DEPTHS = {"start": 0.0, "middle": 50.0, "end": 100.0}


def parse_lengths(text: str, *, least: int = 1) -> list[int]:
    """Numbers of tokens, such as `4k,32k,1m`, each once.

    Raises:
        UsageFailure: If one is not a number, less than `least`, or more than any text has.
    """
    lengths = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([km]?)", part.strip().lower(), re.ASCII)
        tokens = -1 if match is None else round(float(match[1]) * _UNITS[match[2]])
        if not least <= tokens <= MOST:
            raise UsageFailure(f"'{part.strip()}' is not a length", "Write lengths like 4k,32k,128k or 2000.")
        lengths.append(tokens)
    return list(dict.fromkeys(lengths))


def parse_depths(text: str) -> list[float]:
    """Percent, such as `0,50,100` or `start,end`, each once.

    Raises:
        UsageFailure: If one is not between 0 and 100.
    """
    depths = []
    for part in text.split(","):
        name = part.strip().lower().removesuffix("%")
        known = re.fullmatch(r"\d{1,3}(\.\d{1,6})?", name, re.ASCII)
        depth = float(name) if known else _DEPTHS.get(name, -1.0)
        if not 0 <= depth <= 100:
            raise UsageFailure(f"'{part.strip()}' is not a depth", "Write percent like 0,50,100, or start,middle,end.")
        depths.append(depth)
    return list(dict.fromkeys(depths))


def chosen(text: str, known: Sequence[str]) -> list[str]:
    """Some of the known names, or all of them, each once.

    Raises:
        UsageFailure: If one is not known.
    """
    names = list(known) if text == "all" else [part.strip() for part in text.split(",")]
    if odd := [name for name in names if name not in known]:
        raise UsageFailure(f"'{odd[0]}' is not known here", f"Use some of {', '.join(known)}, or all.")
    return list(dict.fromkeys(names))
