"""How a question is put to the memory alone: one way for people, for Python and for measurements.

The memory was trained on questions of the form ``Question: ... Answer:``, and finds a value best when the answer has begun with
the words that stood before it. So a question of the form "What is the ...?" also begins its answer: "The ... is".
"""

from __future__ import annotations

import re

from ..model.loading import Loaded

_BEGUN = re.compile(r"(?P<asked>what|which|where) (?P<verb>is|are|was|were) (?P<rest>[^?]+)\?\s*", re.IGNORECASE)


def beginning(question: str) -> str:
    """The words that the answer to a question begins with, such as ``The pass key is``; empty where they are not plain."""
    match = _BEGUN.fullmatch(question.strip())
    if match is None:
        return ""
    rest = match["rest"].strip()
    place = " in" if match["asked"].lower() == "where" else ""
    return f"{rest[0].upper()}{rest[1:]} {match['verb'].lower()}{place}"


def memory_prompt(loaded: Loaded, question: str) -> list[int]:
    """Token ids that the memory's answer to a question follows."""
    begun = beginning(question)
    return loaded.encode(f"\nQuestion: {question}\nAnswer:{' ' if begun else ''}{begun}")
