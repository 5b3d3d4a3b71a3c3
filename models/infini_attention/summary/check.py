"""Whether a sentence rests on a text: its numbers, its names and most of its other words have to stand together there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from ..text.numerals import NUMERALS

# Of a sentence's words that carry meaning, the share that has to occur in the text.
SHARE = 0.75
# Sentences of the text in a row in which they have to occur.
NEAR = 4
# The same share for sentences in the words of a writer, anywhere in what it had in view.
TOLD_SHARE = 0.5
# Of the words that carry meaning, so many different ones make a sentence, and this share has to be different: below it a
# sentence goes round in a circle. Of 3,059 sentences that people wrote in summaries (SQuALITY's training split) 3% have fewer
# and 1% repeat more; of 178 that our writer wrote, 7% and 12%.
LEAST = 4
DIFFERENT = 0.8
# Two sentences that share so much of their words say the same.
SAME = 0.6
# Wrong where the text does not have them, like figures.
_NUMBERS = frozenset(NUMERALS)
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


class Support:
    """The sentences of a text, to check others against.

    What a small model makes up has words of the text too, but from here and there: all of a sentence's names and numbers,
    and most of its other words, have to stand close together.

    Args:
        own: Of the text, in order.
        share: Of a sentence's words that carry meaning, how many have to occur.
        near: Sentences of the text in a row in which they have to.
    """

    def __init__(self, own: Sequence[str], *, share: float = SHARE, near: int = NEAR) -> None:
        import Stemmer
        from bm25s.stopwords import STOPWORDS_EN_PLUS

        self._share, self._near = share, near
        self._stemmer = Stemmer.Stemmer("english")
        self._little = set(STOPWORDS_EN_PLUS)
        self._words = [[_bare(word) for word in _WORD.findall(sentence)] for sentence in own]
        written = {word for words in self._words for word in words}
        self._large = {word for word in written if word[0].isupper() and word.lower() not in written}
        self._stems = [set(self._stemmer.stemWords([word.lower() for word in words])) for words in self._words]
        self._places: dict[str, list[int]] = {}
        for place, stems in enumerate(self._stems):
            for stem in stems:
                self._places.setdefault(stem, []).append(place)

    @classmethod
    def of_view(cls, own: Sequence[str]) -> Self:
        """For what was told in other words, with all of these sentences in view."""
        return cls(own, share=TOLD_SHARE, near=max(1, len(own)))

    def holds(self, sentence: str) -> bool:
        """Whether the text bears a sentence out."""
        return self.place(sentence) is not None

    def place(self, sentence: str) -> int | None:
        """Number of the text's sentence from which on it bears another one out best; None if it does not."""
        words = [_bare(word) for word in _WORD.findall(sentence)]
        told = self.meaning(sentence)
        if not told:
            return None
        numbers = list(_numbers(words))
        figures = {word.lower() for word in words if any(letter.isdigit() for letter in word)}
        # The first word is written large in any case: a name is what the text never writes otherwise.
        names = {word for word in words[1:] if word[0].isupper()} | ({words[0]} & self._large)
        names = {word for word in names if word.lower() not in self._little}
        most, best = self._share * len(told), None
        for start in self._candidates(told):
            stems = set[str]().union(*self._stems[start : start + self._near])
            shared = len(told & stems)
            if shared < most or (best is not None and shared == most):
                continue
            near = [word for words in self._words[start : start + self._near] for word in words]
            # Numbers in words are checked as they stand in a row: each of their words may well occur somewhere.
            row = f" {' '.join(near).lower()} "
            if names <= set(near) and figures <= set(row.split()) and all(f" {number} " in row for number in numbers):
                most, best = shared, start
        return best

    def _candidates(self, told: set[str]) -> list[int]:
        """Where sentences may begin that share enough with these stems."""
        rare = sorted(told, key=lambda stem: (len(self._places.get(stem, ())), stem))
        # Whoever has most of them has one of the rarest.
        rare = rare[: len(told) - math.ceil(self._share * len(told)) + 1]
        places = {place for stem in rare for place in self._places.get(stem, ())}
        last = max(0, len(self._words) - self._near)
        return sorted({min(max(0, place - before), last) for place in places for before in range(self._near)})

    def tells(self, sentence: str) -> bool:
        """Whether a sentence says something, true or not: "the horse is a steed, and the man is a man" does not."""
        words = self._telling(sentence)
        return len(set(words)) >= max(LEAST, DIFFERENT * len(words))

    def meaning(self, sentence: str) -> set[str]:
        """Stems of the words of a sentence that carry meaning."""
        return set(self._telling(sentence))

    def _telling(self, sentence: str) -> list[str]:
        words = [_bare(word).lower() for word in _WORD.findall(sentence)]
        stems: list[str] = self._stemmer.stemWords([word for word in words if word not in self._little])
        return stems

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
