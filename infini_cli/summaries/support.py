"""Whether a sentence rests on a text: its numbers and names have to occur there, and most of its other words too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

# Of a sentence's words that carry meaning, the share that has to occur in the text.
SHARE = 0.75
# Of all its words, the share that has to be different: below it a sentence goes round in a circle.
DIFFERENT = 0.6
# Two sentences that share so much of their words say the same.
SAME = 0.6
# Wrong where the text does not have them, like figures.
_UNITS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million")
_NUMBERS = frozenset((*_UNITS, *_TEENS, *_TENS))
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


class Support:
    """The words of a text, to check sentences against.

    Args:
        texts: Its parts.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        import Stemmer
        from bm25s.stopwords import STOPWORDS_EN_PLUS

        self._stemmer = Stemmer.Stemmer("english")
        self._little = set(STOPWORDS_EN_PLUS)
        row = [_bare(word) for text in texts for word in _WORD.findall(text)]
        # Numbers in words are checked as they stand in a row: each of their words may well occur somewhere.
        self._row = f" {' '.join(row).lower()} "
        words = set(row)
        self._words, self._lower = words, {word.lower() for word in words}
        self._stems = set(self._stemmer.stemWords(list(self._lower)))

    def holds(self, sentence: str) -> bool:
        """Whether the text bears a sentence out."""
        words = [_bare(word) for word in _WORD.findall(sentence)]
        told = [word for word in words if word.lower() not in self._little]
        if not told or len({word.lower() for word in words}) < DIFFERENT * len(words):
            return False
        if any(f" {number} " not in self._row for number in _numbers(words)):
            return False
        for place, word in enumerate(words):
            number = any(letter.isdigit() for letter in word)
            # The first word is written large in any case.
            name = place > 0 and word[0].isupper() and word.lower() not in self._little
            if (number and word.lower() not in self._lower) or (name and word not in self._words):
                return False
        stems = self._stemmer.stemWords([word.lower() for word in told])
        return sum(stem in self._stems for stem in stems) >= SHARE * len(stems)

    def meaning(self, sentence: str) -> set[str]:
        """Stems of the words of a sentence that carry meaning."""
        words = [_bare(word).lower() for word in _WORD.findall(sentence)]
        return set(self._stemmer.stemWords([word for word in words if word not in self._little]))

    def said(self, sentence: str, before: Iterable[str]) -> bool:
        """Whether one of the sentences before says nearly the same."""
        own = self.meaning(sentence)
        for other in map(self.meaning, before):
            if own == other or len(own & other) >= SAME * max(1, min(len(own), len(other))):
                return True
        return False


def _numbers(words: Sequence[str]) -> Iterator[str]:
    """Numbers in words, such as `seven hundred and four`: runs of their words, with an `and` only inside."""
    run: list[str] = []
    for word in [*(word.lower() for word in words), ""]:
        if word in _NUMBERS or (run and word == "and"):
            run.append(word)
        elif run:
            yield " ".join(run[:-1] if run[-1] == "and" else run)
            run = []


def _bare(word: str) -> str:
    """Without what makes it possessive."""
    return re.sub(r"['\u2019]s$", "", word)
