"""From the notes on sections to a chapter's, and from these to the whole: at each level the sentences that stand for it."""

from __future__ import annotations

from collections.abc import Sequence

from ..text.central import ranked
from ..text.notes import ChapterNotes, Noted, SourceNotes
from .repeats import pick
from .sections import sections

# Words of a sentence, about: it tells how many parts of a text a summary of so many words can speak of.
SENTENCE_WORDS = 22


def of_chapter(
    chapter: ChapterNotes, words: int, *, focus: str | None = None, language: str | None = None
) -> list[Noted]:
    """The note on a chapter.

    Args:
        chapter: With its sections' notes.
        words: About how many; one sentence is given in any case, if there is one.
        focus: What to tell above all.
        language: Its own.
    """
    return _spread(list(chapter.sentences), words, focus, language)


def of_all(sources: Sequence[SourceNotes], words: int, *, focus: str | None = None) -> list[Noted]:
    """The summary of everything, from its beginning to its end.

    Args:
        sources: In order.
        words: About how many; one sentence is given in any case, if there is one.
        focus: What to tell above all.
    """
    every = [one for source in sources for chapter in source.chapters for one in chapter.sentences]
    return _spread(every, words, focus, next((source.language for source in sources), None))


def _spread(every: Sequence[Noted], words: int, focus: str | None, language: str | None) -> list[Noted]:
    """The best sentence of each of as many parts as there is room for, then the best ones of all."""
    if not every:
        return []
    texts = [one.text for one in every]
    order = ranked(texts, focus)
    if focus is None:
        sizes = [len(text.split()) for text in texts]
        place = {number: rank for rank, number in enumerate(order)}
        parts = sections(sizes, max(1, round(sum(sizes) * SENTENCE_WORDS / words)))
        best = {min(part, key=lambda number: place[number]) for part in parts}
        order = sorted(order, key=lambda number: number not in best)
    return [every[number] for number in pick(texts, order, words, language=language)]
