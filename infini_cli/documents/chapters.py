"""Lines that open a chapter, in text that has no markup to say so."""

from __future__ import annotations

import re

_LONGEST_HEADING = 80
_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_WORDS = "|".join([*_UNITS, r"[a-z]{3,6}teen", r"[a-z]{3,4}ty(?:[- ](?:" + "|".join(_UNITS[:9]) + "))?"])
_NUMBER = rf"(?:[0-9]{{1,3}}|[IVXLC]{{1,7}}|[ivxlc]{{1,7}}|[A-Z]|(?i:{_WORDS}))"
_NUMBERED = re.compile(
    rf"(?:Chapter|CHAPTER|Part|PART|Book|BOOK|Section|SECTION|Act|ACT|Scene|SCENE|Letter|LETTER|Volume|VOLUME"
    rf"|Appendix|APPENDIX)\s+{_NUMBER}(?:\s*[.:\u2013\u2014-]\s*\S.*|\s*[.:]?)"
)
_NAMED = re.compile(
    r"(?:prologue|epilogue|preface|foreword|introduction|conclusion|afterword|appendix|abstract|references"
    r"|bibliography|acknowledge?ments|contents|table of contents)[.:]?",
    re.IGNORECASE,
)


def is_chapter_heading(line: str) -> bool:
    """Whether a line standing alone opens a chapter: `CHAPTER IV. The Ford`, `Part Two`, `Epilogue`."""
    line = line.strip()
    if not line or len(line) > _LONGEST_HEADING:
        return False
    return _NUMBERED.fullmatch(line) is not None or _NAMED.fullmatch(line) is not None
