"""From the pieces of a page to its lines, in the order of a reader."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median

from .columns import in_columns
from .pdf_pieces import Piece

# Pieces stand on one line if their heights differ by less than this share of the type's size.
_SAME_LINE = 0.3
# How far a piece may reach into the one before it on the same line, in points.
_OVERLAP = 2.0
# Cells belong together if their edges or middles differ by less, in points.
_SAME_EDGE = 6.0
_FEWEST_ROWS = 2
# A gap in the first or last line of a page that parts the title of a book from that of a chapter, in sizes.
_HEAD_GAP = 3.0
# Lines are a paragraph apart if they are further apart than this, in the page's usual distances.
_PARAGRAPH = 1.45
_FIGURE = re.compile(r"[-+−–(]?[$€£¥]?\s?[0-9][0-9.,\s]*\s?%?\)?|[-–—]|n/?a|\.{2,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageLine:
    """A line of a page.

    Attributes:
        text: What it says; empty between two paragraphs.
        top: How high it stands, in points from the page's foot; None where that is not known.
        size: Height of its type, in points; 0 where that is not known.
        bold: Whether it is set in a bold face.
        row: Whether it is a row of a table, which stands alone.
    """

    text: str
    top: float | None = None
    size: float = 0.0
    bold: bool = False
    row: bool = False


def plain_lines(text: str) -> list[PageLine]:
    """The lines of a text of which nothing else is known."""
    return [PageLine(line.replace("\t", " ")) for line in text.split("\n")]


def page_lines(pieces: Sequence[Piece]) -> tuple[list[PageLine], bool]:
    """The lines of a page, and whether columns had to be put in order.

    Args:
        pieces: In the order in which the file draws them.
    """
    lines: list[PageLine] = []
    reordered = False
    for _, turned in groupby(pieces, key=lambda piece: piece.turn):
        found, ordered = _lines(_rows(list(turned)))
        lines += found
        reordered |= ordered
    return _with_gaps(lines), reordered


def _rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that follow each other on one line."""
    rows: list[list[Piece]] = []
    for piece in pieces:
        last = rows[-1][-1] if rows else None
        if (
            last is not None
            and abs(last.base - piece.base) <= _SAME_LINE * max(last.size, piece.size)
            and piece.left >= last.right - _OVERLAP
        ):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return _by_rows(rows)


def _lines(rows: Sequence[list[Piece]]) -> tuple[list[PageLine], bool]:
    lines: list[PageLine] = []
    reordered = False
    position = 0
    while position < len(rows):
        columns = in_columns(rows, position)
        if columns is not None:
            lines += [_line([piece]) for piece in columns[0]]
            reordered = True
            position = columns[1]
            continue
        end = _table(rows, position)
        if end > position:
            lines += [_line(row, is_row=True) for row in rows[position:end]]
            position = end
            continue
        if position in (0, len(rows) - 1):
            lines += _parted(rows[position])
        else:
            lines.append(_line(rows[position]))
        position += 1
    return lines, reordered


def _line(row: Sequence[Piece], *, is_row: bool = False) -> PageLine:
    size = max(piece.size for piece in row)
    # A tab ends a cell: what a table tells cannot be read from its figures alone.
    text = ("\t" if is_row else " ").join(piece.text.replace("\t", " ") for piece in row)
    return PageLine(text, row[0].base + size, size, all(piece.bold for piece in row), is_row)


def _parted(row: Sequence[Piece]) -> list[PageLine]:
    """A line with an end at each wide gap: running heads are known by their parts."""
    parts: list[list[Piece]] = []
    for piece in row:
        if parts and piece.left - parts[-1][-1].right <= _HEAD_GAP * piece.size:
            parts[-1].append(piece)
        else:
            parts.append([piece])
    return [_line(part) for part in parts]


def _table(rows: Sequence[Sequence[Piece]], start: int) -> int:
    """Number of the row behind the table that begins at `start`; `start` where none does."""
    end = start
    while end < len(rows) and len(rows[end]) > 1 and (end == start or _aligned(rows[end - 1], rows[end])):
        end += 1
    return end if end - start >= _FEWEST_ROWS else start


def _aligned(above: Sequence[Piece], below: Sequence[Piece]) -> bool:
    """Whether all cells but the first of the shorter row stand under or above a cell of the other."""
    shorter, longer = sorted((above, below), key=len)
    return all(any(_same_column(cell, other) for other in longer) for cell in shorter[1:])


def _same_column(one: Piece, other: Piece) -> bool:
    return (
        abs(one.left - other.left) <= _SAME_EDGE
        or abs(one.right - other.right) <= _SAME_EDGE
        or abs((one.left + one.right) - (other.left + other.right)) <= 2 * _SAME_EDGE
    )


def _by_rows(rows: list[list[Piece]]) -> list[list[Piece]]:
    """The rows of a page with tables that are drawn column by column put row by row."""
    result: list[list[Piece]] = []
    position = 0
    while position < len(rows):
        columns = _cell_columns(rows, position)
        if len(columns) > 1:
            result += [list(cells) for cells in zip(*columns, strict=True)]
            position += sum(len(column) for column in columns)
        else:
            result.append(rows[position])
            position += 1
    return result


def _cell_columns(rows: Sequence[Sequence[Piece]], start: int) -> list[list[Piece]]:
    """Columns of cells that begin at `start`, each beside the one before, at the same heights, mostly figures."""
    first = _downwards(rows, start)
    if len(first) <= _FEWEST_ROWS:
        return []
    columns = [first]
    position = start + len(first)
    while position + len(first) <= len(rows):
        column = _downwards(rows[: position + len(first)], position)
        beside = len(column) == len(first) and all(
            abs(cell.base - left.base) <= _SAME_LINE * cell.size and cell.left >= left.right
            for cell, left in zip(column, columns[-1], strict=True)
        )
        if not beside or 2 * sum(1 for cell in column if _FIGURE.fullmatch(cell.text)) < len(column):
            break
        columns.append(column)
        position += len(first)
    return columns


def _downwards(rows: Sequence[Sequence[Piece]], start: int) -> list[Piece]:
    """Single pieces from `start` on, each below the one before."""
    column: list[Piece] = []
    for row in rows[start:]:
        if len(row) != 1 or (column and row[0].base >= column[-1].base):
            break
        column.append(row[0])
    return column


def _with_gaps(lines: list[PageLine]) -> list[PageLine]:
    """The lines with an empty one wherever the distance to the next is wider than usual."""
    steps = [
        above.top - line.top
        for above, line in pairwise(lines)
        if above.top is not None and line.top is not None and 0 < above.top - line.top < 4 * max(line.size, 1.0)
    ]
    if not steps:
        return lines
    usual = median(steps)
    spaced: list[PageLine] = lines[:1]
    for above, line in pairwise(lines):
        step = above.top - line.top if above.top is not None and line.top is not None else 0.0
        larger = max(usual, 1.2 * line.size)
        if step > _PARAGRAPH * larger and not (above.row and line.row):
            spaced.append(replace(line, text="", row=False))
        spaced.append(line)
    return spaced
