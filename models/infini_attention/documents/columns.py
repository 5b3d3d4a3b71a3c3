"""Columns of text that a PDF draws line by line, left to right, put one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .pdf_pieces import Piece

# Lines that must stand side by side, and the share of a column's lines that must go on in small letters: text does,
# the cells of a table do not.
_FEWEST_ROWS = 5
_FLOWING = 0.35
_FEWEST_WORDS = 3
# Two starts are the same margin within so many points; a first line may be set in by more.
_SAME_MARGIN = 18.0
_MOST_INDENT = 40.0
_MOST_COLUMNS = 6
_PARAGRAPH = 1.9

Row = Sequence[Piece]


def in_columns(rows: Sequence[Row], start: int) -> tuple[list[Piece], int] | None:
    """The columns of the run of rows that begins at `start`, one after the other.

    Args:
        rows: The rows of a page in the order in which the file draws them, each a list of pieces from left to right.
        start: Number of the first row.

    Returns:
        The pieces in the order of a reader, and the number of the row behind the run; None where no columns begin.
    """
    margins = _margins(rows, start)
    if margins is None:
        return None
    columns: list[list[Piece]] = [[] for _ in margins]
    side_by_side = 0
    end = len(rows)
    step = abs(rows[start][0].base - rows[start + 1][0].base) if start + 1 < len(rows) else 0.0
    for position, row in enumerate(rows[start:], start):
        places = [_column(piece, margins) for piece in row]
        if None in places or len(set(places)) < len(places) or _is_below(row, rows[position - 1], step):
            end = position
            break
        for piece, place in zip(row, places, strict=True):
            if place is not None:
                columns[place].append(piece)
        side_by_side += len(row) > 1
    if side_by_side < _FEWEST_ROWS or not all(_flows(column) for column in columns):
        return None
    return [piece for column in columns for piece in column], end


def _margins(rows: Sequence[Row], start: int) -> list[float] | None:
    """Where the columns begin: the starts that most of the next rows have."""
    if len(rows[start]) < 2:
        return None
    nearby = [row for row in rows[start : start + 2 * _FEWEST_ROWS] if len(row) > 1]
    starts: list[list[float]] = []
    for left in sorted(piece.left for row in nearby for piece in row):
        if starts and left - starts[-1][0] <= _SAME_MARGIN:
            starts[-1].append(left)
        else:
            starts.append([left])
    margins = [group[0] for group in starts if 2 * len(group) > len(nearby)]
    return margins if 2 <= len(margins) <= _MOST_COLUMNS else None


def _column(piece: Piece, margins: Sequence[float]) -> int | None:
    """Number of the column that a piece stands in; None where it crosses the gap between two."""
    for number, margin in enumerate(margins):
        following = margins[number + 1] if number + 1 < len(margins) else None
        if margin - _SAME_MARGIN <= piece.left <= margin + _MOST_INDENT:
            return number if following is None or piece.right <= following else None
    return None


def _is_below(row: Row, above: Row, step: float) -> bool:
    """Whether a lone piece stands further below the row above it than lines do: it is no longer a column's."""
    return len(row) == 1 and above[0].base - row[0].base > _PARAGRAPH * max(step, row[0].size)


def _flows(column: Sequence[Piece]) -> bool:
    """Whether lines read as one text: of several words each, and most beginning in the middle of a sentence."""
    words = sum(len(piece.text.split()) for piece in column)
    if len(column) < _FEWEST_ROWS or words < _FEWEST_WORDS * len(column):
        return False
    going_on = sum(1 for _, piece in pairwise(column) if piece.text.lstrip()[:1].islower())
    return going_on >= _FLOWING * (len(column) - 1)
