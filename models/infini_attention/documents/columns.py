"""Two columns of text that a PDF draws line by line, left and right in turn, put one after the other.

A backend has to tell where each part of a line begins: pypdf does so where the file draws them as separate pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# Lines that must stand side by side, and the share of a column's lines that must go on in small letters: text does,
# the cells of a table do not.
_FEWEST_PAIRS = 5
_FLOWING = 0.35
_FEWEST_WORDS = 3
# Two starts are the same margin, and two heights the same line, within so many points.
_SAME_MARGIN = 18.0
_SAME_LINE = 3.0


@dataclass(frozen=True)
class Line:
    """A line of text, or the part of one that stands in one column.

    Attributes:
        text: What it says.
        left: Where it begins, in points from the page's left edge.
        height: Where it stands, in points from the page's foot.
    """

    text: str
    left: float
    height: float


def in_columns(lines: Sequence[Line]) -> list[str] | None:
    """The lines' texts with each run of mixed columns put in order; None where there is none.

    Args:
        lines: The lines of a page in the order in which the file draws them.
    """
    texts: list[str] = []
    found = False
    position = 0
    while position < len(lines):
        left, right, end = _mixed(lines, position)
        if len(right) >= _FEWEST_PAIRS and _flows(left) and _flows(right):
            texts += [line.text for line in [*left, *right]]
            found = True
            position = end
        else:
            texts.append(lines[position].text)
            position += 1
    return texts if found else None


def _mixed(lines: Sequence[Line], start: int) -> tuple[list[Line], list[Line], int]:
    """The columns of the run of lines that begins at `start`, in which left and right take turns, and its end."""
    left: list[Line] = []
    right: list[Line] = []
    position = start
    while position < len(lines):
        line = lines[position]
        beside = lines[position + 1] if position + 1 < len(lines) else None
        if left and abs(line.left - left[0].left) > _SAME_MARGIN:
            # The right column may go on below the left one.
            if not right or abs(line.left - right[0].left) > _SAME_MARGIN:
                break
            right.append(line)
            position += 1
            continue
        paired = (
            beside is not None
            and abs(beside.height - line.height) <= _SAME_LINE
            and beside.left - line.left > _SAME_MARGIN
            and (not right or abs(beside.left - right[0].left) <= _SAME_MARGIN)
        )
        # A line without a neighbour may be a short column's, but not the first one nor a line across the page.
        if not paired and not (right and _is_within(line, left)):
            break
        left.append(line)
        position += 1
        if paired and beside is not None:
            right.append(beside)
            position += 1
    return left, right, position


def _is_within(line: Line, column: Sequence[Line]) -> bool:
    return len(line.text) <= 1.15 * max(len(other.text) for other in column)


def _flows(column: Sequence[Line]) -> bool:
    """Whether lines read as one text: of several words each, and most beginning in the middle of a sentence."""
    words = sum(len(line.text.split()) for line in column)
    if len(column) < _FEWEST_PAIRS or words < _FEWEST_WORDS * len(column):
        return False
    going_on = sum(1 for _, line in pairwise(column) if line.text.lstrip()[:1].islower())
    return going_on >= _FLOWING * (len(column) - 1)
