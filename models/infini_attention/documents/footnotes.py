"""Footnote marks in the text of a page: found only where the page's foot has the notes that they call for."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_NOTE = re.compile(r"(?:([0-9]{1,3})[.)]?[ \t]+|([⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})[ \t]*|([*†‡§])[ \t]*)(?=[^\W\d_]|[\"'“‘«(])")
# Notes fill at most this share of a page's lines: a numbered list may fill all of them.
_MOST_NOTES = 0.6


def take_marks(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take the marks of a page's footnotes out of its text, and set each note apart.

    Marks go only where every note at the foot of the page has exactly one mark in the text above, in the same order:
    a number at a word's end may be part of a name. The notes stay, with their own marks.

    Args:
        lines: The page's lines, without running heads and page numbers.

    Returns:
        The lines, and the marks that are no longer in them.
    """
    notes = _notes(lines)
    if not notes:
        return list(lines), []
    first = notes[0][0]
    body = "\n".join(lines[:first])
    spans: list[tuple[int, int]] = []
    for _, mark in notes:
        places = [match.span() for match in _mark(mark).finditer(body)]
        if len(places) != 1 or (spans and places[0] < spans[-1]):
            return list(lines), []
        spans.append(places[0])
    marks = [body[start:end] for start, end in spans]
    for start, end in reversed(spans):
        body = body[:start] + body[end:]
    starts = {index for index, _ in notes}
    foot: list[str] = []
    for index, line in enumerate(lines[first:], first):
        foot += ["", line] if index in starts else [line]
    return [*body.split("\n"), *foot], marks


def _notes(lines: Sequence[str]) -> list[tuple[int, str]]:
    """Line and mark of each note at the page's foot: numbers that count up by one, or signs, each once."""
    notes: list[tuple[int, str]] = []
    filled = [index for index, line in enumerate(lines) if line]
    for index in reversed(filled):
        match = _NOTE.match(lines[index])
        if match is None:
            continue
        mark = match[3] or (match[1] or match[2]).translate(_SUPERSCRIPT)
        if notes and not _goes_before(mark, notes[0][1], [other for _, other in notes]):
            break
        notes.insert(0, (index, mark))
    if not notes:
        return []
    share = sum(1 for index in filled if index >= notes[0][0]) / len(filled)
    return notes if share <= _MOST_NOTES else []


def _goes_before(mark: str, following: str, seen: Sequence[str]) -> bool:
    if mark.isdigit() and following.isdigit():
        return int(mark) + 1 == int(following)
    return not mark.isdigit() and not following.isdigit() and mark not in seen


def _mark(mark: str) -> re.Pattern[str]:
    """The mark as it stands in text: right after a word or the punctuation behind it."""
    if not mark.isdigit():
        return re.compile(rf"(?<=[\w.,;:!?'\"’”»)]){re.escape(mark)}(?=[\s.,;:!?)]|\Z)")
    after_word = r"(?:(?<=[^\W\d_A-Z])|(?<=[^\W\d_][.,;:!?'\"’”»)])|(?<=[^\W\d_][.,;:!?]['\"’”»)]))"
    return re.compile(rf"{after_word}(?:{mark}|{mark.translate(_RAISED)})(?=[\s.,;:!?)—–]|\Z)")
