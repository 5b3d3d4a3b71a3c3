"""Transcripts: who says what, a turn a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# At least so many lines, and this share of them, are turns; nobody's name has more words.
_FEWEST_LINES, _SHARE, _NAME_WORDS = 4, 0.8, 4
# On average a speaker has at least so many turns.
_TURNS_EACH = 2
_TURN = re.compile(r"\s*(?P<speaker>[^\W\d_][\w.'\u2019-]*(?: [\w.'\u2019()-]+){0,3}):(?:\s+(?P<said>.*))?", re.DOTALL)
# What people say while they look for words, with the commas around it, and the spaces that some transcripts have before marks.
_FILLER = re.compile(r"(?:,\s*)?\b(?:u+h+|u+m+|e+r+m*|m+-?h*m+|h+m+)\b(?:\s*,)?", re.IGNORECASE)
_STUTTER = re.compile(r"\b(\w+)(?:[ ,]+\1\b)+", re.IGNORECASE)
_SPACED = re.compile(r"\s+(?=[,.;:?!]|n't\b|'(?:s|m|re|ve|ll|d)\b)")


@dataclass(frozen=True)
class Turn:
    """What somebody says.

    Attributes:
        speaker: Their name.
        said: It; perhaps nothing.
    """

    speaker: str
    said: str


def turns_of(text: str) -> list[Turn]:
    """The turns of a transcript; none where the text is not one.

    Args:
        text: A turn a line; a line without a speaker belongs to the turn before it.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    found: list[Turn] = []
    for line in lines:
        match = _TURN.fullmatch(line)
        if match is not None and match["speaker"][0].isupper() and len(match["speaker"].split()) <= _NAME_WORDS:
            found.append(Turn(match["speaker"], (match["said"] or "").strip()))
        elif found:
            found[-1] = Turn(found[-1].speaker, f"{found[-1].said} {line.strip()}".strip())
        else:
            return []
    return found if _is_transcript(found, len(lines)) else []


def _is_transcript(turns: Sequence[Turn], lines: int) -> bool:
    speakers = Counter(turn.speaker for turn in turns)
    enough = len(turns) >= max(_FEWEST_LINES, _SHARE * lines)
    return enough and 1 < len(speakers) <= len(turns) / _TURNS_EACH


def without_fillers(said: str) -> str:
    """Spoken words without "uh" and "um", words said twice in a row, and spaces before marks."""
    text = " ".join(_SPACED.sub("", _FILLER.sub("", said)).split()).lstrip(", ")
    text = _STUTTER.sub(r"\1", text)
    return text[:1].upper() + text[1:]
