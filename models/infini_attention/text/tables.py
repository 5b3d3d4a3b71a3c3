"""Rows of tables, told in sentences: a small model reads "The 2022 of South is 97.6." where it does not read a table.

Of twenty questions on ten tables the default model answers 16 rightly so, with only the cell in view that words lead to; 9 with
the row's other cells beside it, 6 with other rows, and 1 from rows as they stand (``benchmarks.tables``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_RULE = re.compile(r"\|?[\s:|-]+\|?")
_FEWEST_ROWS = 2
_FIGURE = re.compile(r"[^A-Za-z]*\d[^A-Za-z]*")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        text: Its cells with a space between them.
        told: A sentence for each cell but the first, which name the headers; none for a header, and where there is none.
    """

    text: str
    told: tuple[str, ...] = ()


def rows_of(text: str) -> list[Row]:
    """The rows of a table; none where the text is not one.

    Args:
        text: A row a line, with tabs between its cells, as PDFs are read, or as a table of Markdown.
    """
    rows: list[list[str]] = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        cells = _cells(line)
        if cells is None:
            return []
        if not _RULE.fullmatch(line):
            rows.append(cells)
    if len(rows) < _FEWEST_ROWS:
        return []
    if not _is_header(rows[0], rows[1:]):
        return [Row(_joined(row)) for row in rows]
    return [Row(_joined(rows[0])), *(Row(_joined(row), _told(rows[0], row)) for row in rows[1:])]


def _is_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether a table's first row names its columns: with words, or with years, above figures where there are only two."""
    names = [name for name in first[1:] if name] or list(first)
    if any(_FIGURE.fullmatch(name) for name in names) and not all(_YEAR.fullmatch(name) for name in names):
        return False
    return max(map(len, others)) > 2 or all(_FIGURE.fullmatch(row[-1]) for row in others)


def _cells(line: str) -> list[str] | None:
    """The cells of a line; None where nothing parts them."""
    if line.startswith("|") and line.endswith("|") and len(line) > 1:
        cells = [cell.replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line[1:-1])]
    elif "\t" in line:
        cells = line.split("\t")
    else:
        return None
    return [" ".join(cell.split()) for cell in cells]


def _joined(cells: Sequence[str]) -> str:
    return " ".join(cell for cell in cells if cell)


def _told(header: Sequence[str], row: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each cell but the first, which names the row; the corner of a table may be left out of its header."""
    names = header[1:] if len(header) == len(row) else header
    if len(names) != len(row) - 1 or not row[0]:
        return ()
    pairs = zip(names, row[1:], strict=True)
    return tuple(f"The {name} of {row[0]} is {cell}." for name, cell in pairs if name and cell)
