"""The letters of a page as pdfium tells of them, in arrays: one call for each letter's box is what reading costs."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .pdf_pieces import Box

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

# What pdfium writes for a hyphen at a line's end.
_SOFT_HYPHENS = (0x02, 0xFFFE, 0xAD)
_LETTER, _NOTHING, _SPACE, _LINE_END = range(4)
_KINDS = np.full(0x10000, _LETTER, np.uint8)
_KINDS[0] = _NOTHING
_KINDS[[9, 32, 160]] = _SPACE
_KINDS[[10, 13]] = _LINE_END
# Each code, with a hyphen for a soft one.
_PLAIN = np.arange(0x10000, dtype=np.uint32)
_PLAIN[list(_SOFT_HYPHENS)] = ord("-")
_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)
_BOLD_WEIGHT = 600
_NAME_LENGTH = 128

Bools = NDArray[np.bool_]


class Letters:
    """The letters of a page, without white space and what stands outside the part that is shown; n of them.

    Attributes:
        codes: Their UTF-16 or Unicode numbers, uint32, (n,).
        boxes: Left, bottom, right and top of each, in points, float64, (n, 4).
        behind_end: Whether a line ends before each, (n,).
        behind_space: Whether a space stands before each, (n,).
        behind_real_space: Whether that space stands in the file itself, and is not pdfium's guess, (n,).
    """

    def __init__(self, text_page: PdfTextPage, crop: Box) -> None:
        """Ask pdfium for them.

        Args:
            text_page: Of pypdfium2.
            crop: The part of the page that is shown, as left, bottom, right and top in points.
        """
        self._page = ctypes.cast(text_page.raw, ctypes.c_void_p).value
        self._name = ctypes.create_string_buffer(_NAME_LENGTH)
        self._flags = ctypes.c_int()
        self._matrix = (ctypes.c_float * 6)()
        codes = self._codes(text_page)
        kinds = _KINDS[np.minimum(codes, 0xFFFF)]
        spaces, ends = kinds == _SPACE, kinds == _LINE_END
        places = np.flatnonzero(kinds == _LETTER)
        known, boxes = self._boxes(places.tolist())
        middles = boxes[:, :2] + boxes[:, 2:]
        low, high = 2 * np.array(crop[:2]), 2 * np.array(crop[2:])
        shown = known & ((low <= middles) & (middles <= high)).all(axis=1)
        self._places = places[shown]
        self.boxes = boxes[shown]
        letters = codes[self._places]
        self.codes = np.where(letters <= 0xFFFF, _PLAIN[np.minimum(letters, 0xFFFF)], letters)
        self.behind_end = self._behind(ends)
        self.behind_space = self._behind(spaces)
        self.behind_real_space = self._behind(self._real(spaces))

    def angle(self, number: int) -> float:
        """Clockwise turn of a letter, in quarters; below 0 where that is not known."""
        angle: float = _function("FPDFText_GetCharAngle", ctypes.c_float)(self._page, self._index(number))
        return angle / (math.pi / 2)

    def is_unknown(self, number: int) -> bool:
        """Whether the font does not tell what a letter is."""
        return bool(_function("FPDFText_HasUnicodeMapError", ctypes.c_int)(self._page, self._index(number)) == 1)

    def face(self, number: int) -> tuple[float, bool]:
        """Height of a letter's type, in points on the page, and whether it is bold."""
        index = self._index(number)
        scale = 1.0
        if _function("FPDFText_GetMatrix", ctypes.c_int)(self._page, index, ctypes.addressof(self._matrix)):
            scale = math.hypot(self._matrix[2], self._matrix[3])
        self._name.value = b""
        _function("FPDFText_GetFontInfo", ctypes.c_ulong)(
            self._page, index, ctypes.addressof(self._name), ctypes.c_ulong(_NAME_LENGTH), ctypes.addressof(self._flags)
        )
        bold = _is_bold(self._name.value)
        bold = bold or _function("FPDFText_GetFontWeight", ctypes.c_int)(self._page, index) >= _BOLD_WEIGHT
        return _function("FPDFText_GetFontSize", ctypes.c_double)(self._page, index) * scale, bold

    def _index(self, number: int) -> int:
        return int(self._places[number])

    def _codes(self, text_page: PdfTextPage) -> NDArray[np.uint32]:
        """The page's characters; some may be halves of one."""
        from pypdfium2 import raw

        count = text_page.count_chars()
        units = (ctypes.c_ushort * (count + 1))()
        if raw.FPDFText_GetText(text_page.raw, 0, count, units) - 1 == count:
            return np.frombuffer(units, np.uint16, count).astype(np.uint32)
        # Where a character stands for several letters, or for none, the text is no list of them.
        get_unicode = _function("FPDFText_GetUnicode", ctypes.c_uint)
        return np.array(list(map(get_unicode, repeat(self._page), range(count))), np.uint32)

    def _boxes(self, places: Sequence[int]) -> tuple[Bools, NDArray[np.float64]]:
        """Whether each character has a box, and the box as left, bottom, right and top, in points."""
        # pdfium's order is left, top, right, bottom.
        sides = np.zeros((len(places), 4), np.float32)
        first, size = sides.ctypes.data, sides.itemsize * 4
        addresses = range(first, first + size * len(places), size)
        known = list(map(_function("FPDFText_GetLooseCharBox", ctypes.c_int), repeat(self._page), places, addresses))
        return np.array(known, bool), sides[:, (0, 3, 2, 1)].astype(np.float64)

    def _real(self, spaces: Bools) -> Bools:
        """Which of the spaces stand in the file itself."""
        real = np.zeros_like(spaces)
        places = np.flatnonzero(spaces)
        generated = map(_function("FPDFText_IsGenerated", ctypes.c_int), repeat(self._page), places.tolist())
        real[places] = np.array(list(generated), np.int32) == 0
        return real

    def _behind(self, characters: Bools) -> Bools:
        """Before which letters at least one of some characters stands."""
        counts = np.cumsum(characters)[self._places]
        before = np.zeros_like(counts)
        before[1:] = counts[:-1]
        return counts > before


@cache
def _function(name: str, result: Any) -> Callable[..., Any]:
    """A function of pdfium that takes plain numbers and addresses: such calls need no Python in between."""
    from pypdfium2 import raw

    address = ctypes.cast(getattr(raw, name), ctypes.c_void_p).value
    assert address is not None
    return ctypes.PYFUNCTYPE(result, *_ARGUMENTS.get(name, (ctypes.c_void_p, ctypes.c_int)))(address)


_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "FPDFText_GetLooseCharBox": (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p),
    "FPDFText_GetMatrix": (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p),
    "FPDFText_GetFontInfo": (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p),
}


@cache
def _is_bold(name: bytes) -> bool:
    return _BOLD.search(name.decode("latin-1")) is not None


__all__ = ["Letters"]
