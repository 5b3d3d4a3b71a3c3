"""The text of a page as pdfium sees it, cut into pieces that know where they stand and how they are set.

A piece is a run of letters on one line without a wide gap. pdfium guesses where words end from gaps, page by page and
with one threshold; here the gaps of a line are held against each other.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

# What pdfium writes for a hyphen at a line's end.
_SOFT_HYPHENS = (0x02, 0xFFFE, 0xAD)
# A gap between two letters that parts columns or cells, and a step off the line that begins another, in line heights.
_WIDE_GAP = 1.0
_STEP = 0.6
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
_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)
_BOLD_WEIGHT = 600
_NAME_LENGTH = 128

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Piece:
    """Letters that stand beside each other.

    Attributes:
        text: What they say.
        left, right: Where they begin and end along the line, in points.
        base: Height of the line they stand on, in points; larger is higher.
        size: Height of the type, in points.
        bold: Whether they are set in a bold face.
        turn: Quarter turns that the line is rotated by; `left`, `right` and `base` are measured in the turned page.
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    bold: bool = False
    turn: int = 0


def page_pieces(text_page: PdfTextPage, crop: Box) -> tuple[list[Piece], float]:
    """The pieces of a page in the order in which pdfium gives them.

    Args:
        text_page: Of pypdfium2.
        crop: The part of the page that is shown, as left, bottom, right and top in points; what stands outside is not
            read.

    Returns:
        The pieces, and the share of them whose letters the font does not tell.
    """
    reader = _Reader(text_page, crop)
    reader.read()
    unknown = reader.unknown / len(reader.pieces) if reader.pieces else 0.0
    return reader.pieces, unknown


class _Reader:
    """Walks over a page's characters once."""

    def __init__(self, text_page: PdfTextPage, crop: Box) -> None:
        from pypdfium2 import raw

        self.raw: Any = raw
        self.handle = text_page.raw
        self.count = text_page.count_chars()
        self.crop = crop
        self.pieces: list[Piece] = []
        self.unknown = 0
        self._begin()

    def _begin(self) -> None:
        self.letters: list[str] = []
        # What stands before each letter: the gap in points, and whether there is a space and a real one.
        self.gaps: list[tuple[float, bool, bool]] = []
        self.first = -1
        self.before: Box | None = None
        self.leftmost, self.rightmost = math.inf, -math.inf
        self.turn = 0
        self.slanted = False
        self.space = self.real_space = False

    def read(self) -> None:
        """Walk over the page. Letter after letter on a line is the usual case, and is kept short."""
        left, bottom, right, top = self.crop
        left, bottom, right, top = 2 * left, 2 * bottom, 2 * right, 2 * top
        for index, (code, known, box) in enumerate(zip(self._codes(), *self._boxes(), strict=True)):
            if code == 32 or code == 160 or code == 9:
                self.space = True
                self.real_space = self.real_space or not self.raw.FPDFText_IsGenerated(self.handle, index)
                continue
            if code == 10 or code == 13:
                self._end()
                continue
            if code == 0 or not known:
                continue
            x0, y1, x1, y0 = box
            if not (left <= x0 + x1 <= right and bottom <= y0 + y1 <= top):
                continue
            before = self.before
            letter = "-" if code in _SOFT_HYPHENS else chr(code)
            if before is not None and self.turn == 0 and before[1] == y0 and before[3] == y1:
                gap = x0 - before[2]
                if y0 - y1 < gap < _WIDE_GAP * (y1 - y0) and x0 >= before[0]:
                    self.gaps.append((gap, self.space, self.real_space))
                    self.letters.append(letter)
                    self.before = (x0, y0, x1, y1)
                    self.space = self.real_space = False
                    continue
            self._take(index, letter, (x0, y0, x1, y1))
        self._end()

    def _boxes(self) -> tuple[list[int], list[tuple[float, float, float, float]]]:
        """Whether each character has a box, and the box: left, top, right and bottom, in points.

        It is the one thing asked for each character. With plain addresses the calls need no Python in between, which makes
        reading half as long.
        """
        count = self.count
        boxes = (self.raw.FS_RECTF * count)()
        function = ctypes.cast(self.raw.FPDFText_GetLooseCharBox, ctypes.c_void_p).value
        page = ctypes.cast(self.handle, ctypes.c_void_p).value
        assert function is not None
        get_box = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(function)
        size, first = ctypes.sizeof(self.raw.FS_RECTF), ctypes.addressof(boxes)
        known = list(map(get_box, repeat(page), range(count), range(first, first + size * count, size)))
        sides = memoryview(boxes).cast("B").cast("f")
        return known, list(zip(sides[0::4], sides[1::4], sides[2::4], sides[3::4], strict=True))

    def _codes(self) -> Sequence[int]:
        """The page's characters; some may be halves of one."""
        size = 2 * (self.count + 1)
        buffer = ctypes.create_string_buffer(size)
        target = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
        written = self.raw.FPDFText_GetText(self.handle, 0, self.count, target) - 1
        if written == self.count:
            return memoryview(buffer)[: 2 * written].cast("B").cast("H")
        # Where a character stands for several letters, or for none, the text is no list of them.
        return [self.raw.FPDFText_GetUnicode(self.handle, index) for index in range(self.count)]

    def _take(self, index: int, letter: str, box: Box) -> None:
        if self.before is not None:
            turned = _turned(box, self.turn)
            height = self.before[3] - self.before[1] or 1.0
            # Letters of a script that is written from the right follow each other leftwards.
            gap = max(turned[0] - self.before[2], self.before[0] - turned[2])
            step = abs(turned[1] - self.before[1]) > _STEP * height and abs(turned[3] - self.before[3]) > _STEP * height
            if not self.slanted and (gap > _WIDE_GAP * height or step):
                self._end()
            else:
                # The number of a footnote, in small type, stands before its first word without a gap.
                mark = height < _MARK * (turned[3] - turned[1]) and "".join(self.letters).isdigit()
                self.gaps.append((gap, self.space or mark, self.real_space or mark))
        if self.before is None:
            angle = self.raw.FPDFText_GetCharAngle(self.handle, index) / (math.pi / 2)
            self.turn = round(angle) % 4 if angle >= 0 else 0
            self.slanted = angle >= 0 and abs(angle - round(angle)) > 0.1
            self.first = index
            turned = _turned(box, self.turn)
            self.gaps.append((0.0, False, False))
        self.letters.append(letter)
        self.before = turned
        self.leftmost, self.rightmost = min(self.leftmost, turned[0]), max(self.rightmost, turned[2])
        self.space = self.real_space = False

    def _end(self) -> None:
        if self.letters and self.before is not None:
            size, bold = self._face(self.first)
            height = self.before[3] - self.before[1]
            text = _words(self.letters, self.gaps, height)
            base = self.before[1]
            right = max(self.rightmost, self.before[2])
            self.pieces.append(Piece(text, self.leftmost, right, base, size or height, bold, self.turn))
            self.unknown += self.raw.FPDFText_HasUnicodeMapError(self.handle, self.first) == 1
        self._begin()

    def _face(self, index: int) -> tuple[float, bool]:
        """Height of the type, in points on the page, and whether it is bold."""
        matrix = self.raw.FS_MATRIX()
        scale = 1.0
        if self.raw.FPDFText_GetMatrix(self.handle, index, matrix):
            scale = math.hypot(matrix.c, matrix.d)
        name = ctypes.create_string_buffer(_NAME_LENGTH)
        flags = ctypes.c_int()
        self.raw.FPDFText_GetFontInfo(self.handle, index, name, _NAME_LENGTH, flags)
        bold = _BOLD.search(name.value.decode("latin-1")) is not None
        bold = bold or self.raw.FPDFText_GetFontWeight(self.handle, index) >= _BOLD_WEIGHT
        return self.raw.FPDFText_GetFontSize(self.handle, index) * scale, bold


def _turned(box: Box, turn: int) -> Box:
    """A box in the frame in which its line runs from left to right. pdfium counts turns clockwise."""
    left, bottom, right, top = box
    if turn == 0:
        return box
    if turn == 3:
        return bottom, -right, top, -left
    if turn == 1:
        return -top, left, -bottom, right
    return -right, -top, -left, -bottom


def _words(letters: Sequence[str], gaps: Sequence[tuple[float, bool, bool]], height: float) -> str:
    """The letters with a space between words."""
    real = [gap for gap, space, is_real in gaps if space and is_real]
    guessed = [gap for gap, space, is_real in gaps if space and not is_real]
    narrowest, widest = 0.0, math.inf
    if guessed and len(real) >= max(_FEWEST_REAL_SPACES, _MOSTLY_REAL * len(guessed)):
        narrowest = _REAL_SPACE * median(real)
    elif not real and len(guessed) >= _FEWEST_GAPS:
        within = median(gap for gap, space, _ in gaps if not space)
        widest = within + max(_MISSED_GAP * height, _MISSED_SHARE * (median(guessed) - within))
    parts: list[str] = []
    for letter, (gap, space, is_real) in zip(letters, gaps, strict=True):
        if (space and (is_real or gap >= narrowest)) or (not space and gap > widest):
            parts.append(" ")
        parts.append(letter)
    text = "".join(parts).strip()
    if any("\ud800" <= letter <= "\udfff" for letter in letters):
        # Letters outside the basic plane come as two halves.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
