"""Questions for the numbers of English texts, made from their own sentences.

Stories are seldom asked for numbers, documents often. A sentence that counts something is its own question: what it counts,
and some of its other words, are given.
"""

from __future__ import annotations

import re

import numpy as np

from ..text.numerals import COUNTED_BY, PART

_COUNT = re.compile(
    rf"\b(?P<number>(?:an? (?={COUNTED_BY}))?{PART}(?:(?:[- ]|,? and )(?:{PART}|one))*) "
    r"(?P<counted>(?:[a-z]+(?<![suio])s|men|women|children|people|feet))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]{4,}")
# Words of a sentence with which it can be told from others, and that a question is made of.
FEWEST, MOST = 6, 60
_BEFORE, _AFTER = 10, 12
_CLUES = 3


def number_question(sentence: str, rng: np.random.Generator) -> tuple[str, str] | None:
    """A question for the first count of a sentence, and its answer: the number and what is counted.

    Args:
        sentence: in a row, without line breaks.
        rng: draws how it is asked: as an echo, with the words that follow, or with some of the sentence's other words.

    Returns:
        ``None`` where nothing is counted, or too little or too much is said beside it.
    """
    found = _COUNT.search(sentence)
    if found is None or not FEWEST <= len(sentence.split()) <= MOST:
        return None
    counted = found["counted"]
    before = sentence[: found.start()].split()[-_BEFORE:]
    after = sentence[found.end() :].rstrip(".!?;:,\"'\u201d\u2019 ").split()[:_AFTER]
    way = int(rng.integers(3))
    if way == 0:
        asked = " ".join([*before, "how many", counted, *after])
    elif way == 1 and len(after) >= _CLUES:
        asked = " ".join(["how many", counted, *after])
    else:
        clues = [word for word in _WORD.findall(" ".join(before + after)) if word != counted]
        chosen = sorted(rng.choice(len(clues), min(_CLUES, len(clues)), replace=False).tolist()) if clues else []
        asked = " ".join(["how many", counted, "are told of:", ", ".join(clues[place] for place in chosen)])
    return f"{asked[0].upper()}{asked[1:]}?", f"{found['number']} {counted}"
