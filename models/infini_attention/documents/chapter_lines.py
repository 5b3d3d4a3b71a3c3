"""Lines that open a chapter, in text that has no markup to say so."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST_HEADING = 80
# Titles of more words write most words of more letters with a capital.
_FEW_WORDS = 6
_SHORT_WORD = 3
_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_WORDS = "|".join([*_UNITS, r"[a-z]{3,6}teen", r"[a-z]{3,4}ty(?:[- ](?:" + "|".join(_UNITS[:9]) + "))?"])
_NUMBER = rf"(?:[0-9]{{1,3}}|[IVXLC]{{1,7}}|[ivxlc]{{1,7}}|[A-Z]|(?i:{_WORDS}))"
_NUMBERED = re.compile(
    rf"(?:Chapter|CHAPTER|Part|PART|Book|BOOK|Section|SECTION|Act|ACT|Scene|SCENE|Letter|LETTER|Volume|VOLUME"
    rf"|Canto|CANTO|Appendix|APPENDIX)\s+{_NUMBER}(?:\s*[.:\u2013\u2014-]\s*(?P<title>\S.*)|\s*[.:]?)"
)
_NAMED = re.compile(
    r"(?:prologue|epilogue|preface|foreword|introduction|conclusion|afterword|appendix|abstract|references"
    r"|bibliography|acknowledge?ments|contents|table of contents)[.:]?",
    re.IGNORECASE,
)
_ONES = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
_TENS = ("", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC")
_NUMERALS = [tens + ones for tens in _TENS for ones in _ONES][1:]
# Fewer are no sequence.
_FEWEST_NUMERALS = 2


def is_chapter_heading(line: str) -> bool:
    """Whether a line standing alone opens a chapter: `CHAPTER IV. The Ford`, `Part Two`, `Epilogue`."""
    line = line.strip()
    if not line or len(line) > _LONGEST_HEADING:
        return False
    numbered = _NUMBERED.fullmatch(line)
    return _NAMED.fullmatch(line) is not None or (numbered is not None and _may_be_title(numbered["title"] or ""))


def _may_be_title(text: str) -> bool:
    """Whether what stands behind a chapter's number is a title: a sentence that happens to begin so is none."""
    if text.endswith(("-", ",", ";")):
        return False
    words = [word for word in text.split() if word[0].isalpha()]
    long = [word for word in words if len(word) > _SHORT_WORD]
    return len(words) <= _FEW_WORDS or 2 * sum(1 for word in long if word[0].isupper()) >= len(long)


def openings(paragraphs: Sequence[Sequence[str]]) -> dict[int, str]:
    """Chapters that text without markup opens.

    Args:
        paragraphs: Lines of each.

    Returns:
        Number of a paragraph that is a heading to what it says.
    """
    titled = {
        number: " ".join(line.strip() for line in lines)
        for number, lines in enumerate(paragraphs)
        if len(lines) <= 2 and is_chapter_heading(lines[0])
    }
    return titled | numeral_headings(paragraphs)


def numeral_headings(paragraphs: Sequence[Sequence[str]]) -> dict[int, str]:
    """Chapters that only a Roman numeral opens, alone or with a title below it.

    Args:
        paragraphs: Lines of each.

    Returns:
        Number of a paragraph that is such a numeral, or its title, to the heading. Numerals count from I on, one after the
        other, or are none.
    """
    found: dict[int, str] = {}
    count = 0
    for number, lines in enumerate(paragraphs):
        following = paragraphs[number + 1] if number + 1 < len(paragraphs) else []
        numeral, *below = (line.strip() for line in lines)
        if count == len(_NUMERALS) or numeral.rstrip(".") != _NUMERALS[count] or (below and not _is_title(below)):
            continue
        count += 1
        if not below and _is_title(following):
            found[number + 1] = f"{numeral} {following[0].strip()}"
        found[number] = found.get(number + 1) or " ".join([numeral, *below])
    return found if count >= _FEWEST_NUMERALS else {}


def _is_title(lines: Sequence[str]) -> bool:
    if len(lines) != 1:
        return False
    line = lines[0].strip()
    return 0 < len(line) <= _LONGEST_HEADING and line[-1] not in '.,;:!?"\u201d' and line not in _NUMERALS
