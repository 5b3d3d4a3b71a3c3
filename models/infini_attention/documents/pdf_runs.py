"""The letters of a page cut into pieces.

pdfium guesses where words end from gaps, page by page and with one threshold; here the gaps of a line are held against
each other.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .pdf_letters import Bools, Letters
from .pdf_pieces import Box, Piece

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

# A gap between two letters that parts columns or cells, and a step off the line that begins another, in line heights.
_WIDE_GAP = 1.0
_STEP = 0.6
# A line that is further from a quarter turn is slanted, in quarters.
_SLANT = 0.1
# A gap that pdfium takes for a space is none if it is narrower than this share of the line's real spaces.
_REAL_SPACE = 0.75
# On a line whose spaces are mostly guessed, the guesses are as good as the rest.
_FEWEST_REAL_SPACES = 2
_MOSTLY_REAL = 1.5
# A gap within a word that is a space after all, in line heights, and as a share of the line's other spaces.
_MISSED_GAP = 0.085
_MISSED_SHARE = 0.5
_FEWEST_GAPS = 3
# Type of less than this share of the height of what follows is a mark's.
_MARK = 0.85


def page_pieces(text_page: PdfTextPage, crop: Box) -> tuple[list[Piece], float]:
    """The pieces of a page in the order in which pdfium gives them.

    Args:
        text_page: Of pypdfium2.
        crop: The part of the page that is shown, as left, bottom, right and top in points; what stands outside is not
            read.

    Returns:
        The pieces, and the share of them whose letters the font does not tell.
    """
    letters = Letters(text_page, crop)
    if not len(letters.codes):
        return [], 0.0
    cut = _Cut(letters)
    runs = cut.runs()
    starts = [run.start for run in runs]
    texts = _texts(letters.codes, starts, _word_starts(cut, starts, [run.height for run in runs]))
    pieces = []
    for run, text in zip(runs, texts, strict=True):
        size, bold = letters.face(run.start)
        pieces.append(Piece(text, run.left, run.right, run.base, size or run.height, bold, run.turn))
    return pieces, sum(map(letters.is_unknown, starts)) / len(pieces)


@dataclass(slots=True)
class _Run:
    """The letters of a piece, from number `start` up to `end`; places as in `Piece`, and the height of the last one."""

    start: int
    end: int
    left: float
    right: float
    base: float
    height: float
    turn: int = 0


class _Cut:
    """Cuts a page's letters into runs.

    Attributes:
        gaps: In points, before each letter of a run; 0 before its first one.
        spaces, real_spaces: Whether a space stands before each, and one that is no guess; none before the first one.
    """

    def __init__(self, letters: Letters) -> None:
        self.letters = letters
        self.count = len(letters.codes)
        self.spaces, self.real_spaces = letters.behind_space, letters.behind_real_space
        self.gaps = np.zeros(self.count)
        left, bottom, right, top = letters.boxes.T
        before, after = slice(None, -1), slice(1, None)
        height = (top - bottom)[before]
        gaps = left[after] - right[before]
        level = (bottom[after] == bottom[before]) & (top[after] == top[before]) & (left[after] >= left[before])
        level &= (-height < gaps) & (gaps < _WIDE_GAP * height)
        # Letters of a script that is written from the right follow each other leftwards.
        self.gaps[after] = gaps = np.where(level, gaps, np.maximum(gaps, left[before] - right[after]))
        height[height == 0] = 1.0
        reach = _STEP * height
        step = (abs(bottom[after] - bottom[before]) > reach) & (abs(top[after] - top[before]) > reach)
        ends = letters.behind_end[after] | (~level & (step | (gaps > _WIDE_GAP * height)))
        # Letters that stand otherwise than the one before, and where runs begin: of level letters, and of slanted ones.
        self.uneven = np.append(True, ~level)
        self.larger = (np.flatnonzero(~level & (height < _MARK * (top - bottom)[after])) + 1).tolist()
        self.starts = [*(np.flatnonzero(ends) + 1).tolist(), self.count]
        self.line_starts = [*np.flatnonzero(letters.behind_end).tolist(), self.count]

    def runs(self) -> list[_Run]:
        """The runs, in order. Only those that are turned are walked over letter by letter."""
        bounds = [0]
        turned: dict[int, _Run] = {}
        while (start := bounds[-1]) < self.count:
            angle = self.letters.angle(start)
            slanted = angle >= 0 and abs(angle - round(angle)) > _SLANT
            turn = round(angle) % 4 if angle >= 0 else 0
            if turn:
                turned[start] = self._turned_run(start, turn, slanted=slanted)
                bounds.append(turned[start].end)
            else:
                starts = self.line_starts if slanted else self.starts
                bounds.append(starts[bisect_right(starts, start)])
        for number in self.larger:
            start = bounds[bisect_right(bounds, number) - 1]
            if start not in turned and start < number:
                self._mark(start, number)
        starts = bounds[:-1]
        self.gaps[starts] = 0.0
        self.spaces[starts] = self.real_spaces[starts] = False
        level = map(_Run, starts, bounds[1:], *self._places(bounds))
        return [turned.get(start, run) for start, run in zip(starts, level, strict=True)]

    def _places(self, bounds: list[int]) -> tuple[list[float], ...]:
        """Left, right, base and height of level runs."""
        left, bottom, right, top = self.letters.boxes.T
        starts, last = bounds[:-1], np.array(bounds[1:]) - 1
        self.uneven[starts] = True
        leftmost = np.minimum.reduceat(np.where(self.uneven, left, math.inf), starts)
        rightmost = np.maximum.reduceat(np.where(self.uneven, right, -math.inf), starts)
        rightmost = np.maximum(rightmost, right[last])
        return leftmost.tolist(), rightmost.tolist(), bottom[last].tolist(), (top - bottom)[last].tolist()

    def _turned_run(self, start: int, turn: int, *, slanted: bool) -> _Run:
        """The run that begins at a letter of a turned line."""
        end = self.line_starts[bisect_right(self.line_starts, start)]
        boxes = [_turned(box, turn) for box in self.letters.boxes[start:end].tolist()]
        left, _, right, _ = before = boxes[0]
        for number, box in enumerate(boxes[1:], start + 1):
            height = before[3] - before[1] or 1.0
            gap = max(box[0] - before[2], before[0] - box[2])
            step = abs(box[1] - before[1]) > _STEP * height and abs(box[3] - before[3]) > _STEP * height
            if not slanted and (gap > _WIDE_GAP * height or step):
                end = number
                break
            self.gaps[number] = gap
            if height < _MARK * (box[3] - box[1]):
                self._mark(start, number)
            left, right = min(left, box[0]), max(right, box[2])
            before = box
        _, base, _, top = before
        return _Run(start, end, left, right, base, top - base, turn)

    def _mark(self, start: int, number: int) -> None:
        """The number of a footnote, in small type, stands before its first word without a gap."""
        if "".join(map(chr, self.letters.codes[start:number].tolist())).isdigit():
            self.spaces[number] = self.real_spaces[number] = True


def _word_starts(cut: _Cut, starts: Sequence[int], heights: Sequence[float]) -> Bools:
    """Before which letters a space stands."""
    run = np.zeros(cut.count, np.int64)
    run[starts[1:]] = 1
    run = np.cumsum(run)
    kind = 3 * run + cut.spaces + cut.real_spaces
    counts = np.bincount(kind, minlength=3 * len(starts))
    medians = _medians(cut.gaps[np.lexsort((cut.gaps, kind))], counts).reshape(-1, 3).T
    (within, guessed, real), (_, guesses, reals) = medians, counts.reshape(-1, 3).T
    are_real = (guesses > 0) & (reals >= np.maximum(_FEWEST_REAL_SPACES, _MOSTLY_REAL * guesses))
    narrowest = np.where(are_real, _REAL_SPACE * real, 0.0)
    are_guessed = (reals == 0) & (guesses >= _FEWEST_GAPS)
    wider = np.maximum(_MISSED_GAP * np.array(heights), _MISSED_SHARE * (guessed - within))
    widest = np.where(are_guessed, within + wider, math.inf)
    told = cut.spaces & (cut.real_spaces | (cut.gaps >= narrowest[run]))
    return told | (~cut.spaces & (cut.gaps > widest[run]))


def _medians(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Medians of groups of sorted values that follow each other; anything for a group of none."""
    firsts = np.cumsum(counts) - counts
    low, high = firsts + np.maximum(counts - 1, 0) // 2, firsts + counts // 2
    last = len(values) - 1
    medians: NDArray[np.float64] = (values[np.minimum(low, last)] + values[np.minimum(high, last)]) / 2
    return medians


def _texts(codes: NDArray[np.uint32], starts: Sequence[int], word_starts: Bools) -> list[str]:
    """What runs say, with a space between words."""
    places = np.arange(len(codes)) + np.cumsum(word_starts)
    spaced = np.full(places[-1] + 1, ord(" "), "<u4")
    spaced[places] = codes
    text = spaced.tobytes().decode("utf-32-le", "surrogatepass")
    bounds = [*places[starts].tolist(), len(text)]
    texts = [text[start:end].strip() for start, end in pairwise(bounds)]
    if ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
        # Letters outside the basic plane come as two halves.
        texts = [part.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for part in texts]
    return texts


def _turned(box: Sequence[float], turn: int) -> Box:
    """A box in the frame in which its line runs from left to right. pdfium counts turns clockwise."""
    left, bottom, right, top = box
    if turn == 3:
        return bottom, -right, top, -left
    if turn == 1:
        return -top, left, -bottom, right
    return -right, -top, -left, -bottom
