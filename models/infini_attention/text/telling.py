"""How well a sentence tells something where it stands alone: it names who it is about, and is nobody's speech."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .passages import is_ended

# Weights of what speaks for a sentence and against it, chosen by ROUGE of the most telling sentences alone against the
# summaries of SQuALITY's training split.
SPEECH = 0.1
LEANING = 0.5
NAME = 0.2
MOST_NAMES = 3
# Lengths in words below and above which a sentence counts the less: of a story's short sentences, most tell a gesture.
SHORT, LONG = 18, 40
# Words of a sentence and of a phrase, at least, and the share of letters in them.
LEAST_WORDS, LEAST_PHRASE, MOSTLY_LETTERS = 6, 3, 0.85
# What an item of a list begins with.
_NUMBERED = re.compile(r"^\W*(?:(?:[a-z]|[ivx]{1,4}|\d{1,3})[.)]\s+)?\W*")
# What leads from a title to its page in a table of contents.
_LEADERS = re.compile(r"\.\s?\.\s?\.\s?\.|(?:\s\.){3}")
_QUOTES = re.compile(r"[\"\u201c\u201d\u201e\u00ab\u00bb]|(?:^|\s)['\u2018](?=\w)")
_WORD = re.compile(r"[^\W\d_]+")
# A sentence that begins with one of these leans on what stands before it.
_LEANING = re.compile(
    r"\W*(?:he|she|it|they|we|i|you|his|her|its|their|my|your|our|this|that|these|those|there|then|so|but|and|or|yet|now"
    r"|here|who|what|why|how|when|where|which|whose|yes|no|well|oh)\b",
    re.IGNORECASE,
)


def telling(sentences: Sequence[str]) -> list[float]:
    """A weight for each sentence of a text: 1 for one that names nobody, leans on nothing and is neither short nor long.

    Args:
        sentences: In reading order.
    """
    words = [_WORD.findall(sentence) for sentence in sentences]
    names = _names(words)
    weights = []
    for sentence, own in zip(sentences, words, strict=True):
        weight = 1 + NAME * min(MOST_NAMES, len(names.intersection(own)))
        if _QUOTES.search(sentence):
            weight *= SPEECH
        if leans(sentence):
            weight *= LEANING
        length = max(1, len(sentence.split()))
        weights.append(weight * min(1.0, LONG / length, length / SHORT))
    return weights


def leans(sentence: str) -> bool:
    """Whether a sentence needs the one before it to be understood."""
    return _LEANING.match(sentence) is not None


def _names(sentences: Sequence[Sequence[str]]) -> set[str]:
    """Words that are written large inside sentences more often than small."""
    large, small = Counter[str](), Counter[str]()
    for words in sentences:
        large.update(word for word in words[1:] if word[0].isupper() and len(word) > 1)
        small.update(word for word in words if word[0].islower())
    return {word for word, count in large.items() if count > small[word.lower()]}


def is_whole(sentence: str) -> bool:
    """Whether it is a sentence: no cry, no title, no signature, no code, and nothing that a page break has torn off."""
    torn = _NUMBERED.sub("", sentence)[:1].islower() or not is_ended(sentence)
    return len(sentence.split()) >= LEAST_WORDS and not torn and not sentence.isupper() and is_phrase(sentence)


def is_phrase(text: str) -> bool:
    """Whether it is words, a few at least, as a line of slides is, and neither code nor figures."""
    letters = sum(letter.isalpha() or letter.isspace() or letter in ",.'\u2019-" for letter in text)
    return (
        len(_WORD.findall(text)) >= LEAST_PHRASE and not _LEADERS.search(text) and letters >= MOSTLY_LETTERS * len(text)
    )
