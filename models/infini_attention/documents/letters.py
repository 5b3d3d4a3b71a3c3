"""Letters of a PDF as people write them: no ligatures, no accents beside their letter, no white space but plain one."""

from __future__ import annotations

import re
import unicodedata

LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_INVISIBLE = re.compile("[\u200b\u2060\ufeff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad]")
# Forms of Arabic letters as they are drawn, which stand for the letters themselves.
_PRESENTATION = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]+")
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Spacing accents, and the combining ones that they stand for.
_COMBINING = {
    "\u00a8": "\u0308",
    "\u00b4": "\u0301",
    "\u0060": "\u0300",
    "\u02c6": "\u0302",
    "\u02dc": "\u0303",
    "\u00b8": "\u0327",
    "\u02c7": "\u030c",
    "\u02d8": "\u0306",
    "\u02d9": "\u0307",
    "\u02da": "\u030a",
    "\u02db": "\u0328",
    "\u02dd": "\u030b",
    "\u00af": "\u0304",
}
# The accent comes before its letter, as TeX draws it, or behind it. A grave or acute one may also be a quotation mark
# or an apostrophe: it must touch a vowel behind it and a letter before it.
_BEFORE = re.compile("([\u00a8\u02c6\u02dc\u00b8\u02c7\u02d8-\u02db\u02dd\u00af]) ?([^\\W\\d_])")
_BEHIND = re.compile("([^\\W\\d_])([\u00a8\u02c6\u02dc\u00b8\u02c7\u02d8-\u02db\u02dd\u00af])")
_INSIDE = re.compile("(?<=[^\\W\\d_])([\u00b4`])([aeiouyAEIOUY\u0131])(?![^\\W\\d_]{0,40}[\u00b4`'])")
_ACCENT = re.compile(f"[{''.join(_COMBINING)}]")
_DOTLESS = {"\u0131": "i", "\u0237": "j"}


def normalise(text: str) -> tuple[str, int]:
    """Make ligatures, accents, white space and line ends plain.

    Returns:
        The text, and how many control, direction, zero-width and soft-hyphen characters were removed from it.
    """
    text = text.replace("\r\n", "\n")
    text = re.sub("[\r\v\f\x85\u2028\u2029]", "\n", text)
    for ligature, letters in LIGATURES.items():
        text = text.replace(ligature, letters)
    # A soft hyphen at a line's end is a real break of a word; anywhere else it is not to be seen.
    text = re.sub("\u00ad[ \t]*(?=\n)", "-", text)
    text, directions = _BIDI.subn("", text)
    visible, invisible = _INVISIBLE.subn("", text)
    kept = _CONTROL.sub("", visible)
    removed = directions + invisible + len(visible) - len(kept)
    # A lone surrogate, from a broken font table, cannot be written as UTF-8.
    kept = re.sub("[\ud800-\udfff]", "\ufffd", kept)
    kept = _PRESENTATION.sub(lambda match: unicodedata.normalize("NFKC", match[0]), kept)
    return "\n".join(_even(line) for line in with_accents(kept).split("\n")), removed


def _even(line: str) -> str:
    """A line with single spaces; tabs inside it part the cells of a row."""
    cells = (" ".join(cell.split()) for cell in line.strip().split("\t"))
    return "\t".join(cell for cell in cells if cell)


def with_accents(text: str) -> str:
    """The text with spacing accents put on their letters: `Lemaˆıtre` becomes `Lemaître`."""
    if _ACCENT.search(text) is None:
        return text
    text = _BEFORE.sub(lambda match: _composed(match[2], match[1]) or match[0], text)
    text = _BEHIND.sub(lambda match: _composed(match[1], match[2]) or match[0], text)
    return _INSIDE.sub(lambda match: _composed(match[2], match[1]) or match[0], text)


def _composed(letter: str, accent: str) -> str | None:
    """One letter with its accent; None where there is no such letter."""
    composed = unicodedata.normalize("NFC", _DOTLESS.get(letter, letter) + _COMBINING[accent])
    return composed if len(composed) == 1 else None
