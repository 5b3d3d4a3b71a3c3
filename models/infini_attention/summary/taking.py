"""Notes on a text: of each section the sentences that stand for it, in the text's own words.

They are no model's words: of fifteen sentences that the 135M default, trained for it, wrote about three texts, two at most were
borne out, however they were checked. What is changed is a "he" or "she" at a sentence's beginning, where it is clear whose
name belongs there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..documents import Block
from ..documents.language import language_of
from ..text import parsing
from ..text.central import ranked
from ..text.kept import KeptText
from ..text.notes import ChapterNotes, Noted, Person, SourceNotes
from ..text.passages import Sentence, sentences
from ..text.people import Somebody, people, with_names
from ..text.telling import is_phrase, is_whole, leans
from ..text.turns import without_fillers
from .chapters import Chapter, chapters, is_heading
from .repeats import pick
from .sections import sections

# Words of a section for each sentence of its note, and the most of them.
WORDS_A_SENTENCE, MOST_SENTENCES = 130, 3
# What a sentence counts that says nothing.
SAYS_NOTHING = 0.3
# What stands before a sentence and is no part of it: stars between scenes, the mark of an item.
_ORNAMENT = re.compile(r"^(?:[*\u2022\u25e6\u2023\u2013\u2014-]+\s+)+")
# Of a text's beginning, letters that tell its language.
_SAMPLE = 20_000


@dataclass(frozen=True)
class _Told:
    """A sentence of a text as a note would have it."""

    sentence: Sentence
    block: int
    text: str
    # What it counts by beside what it shares with others.
    weight: float

    @functools.cached_property
    def grade(self) -> int:
        """3 for a sentence that stands alone, 2 for one that leans on another, 1 for some words, 0 for what is none."""
        if not is_whole(self.text):
            return int(is_phrase(self.text))
        return 2 if leans(self.text) else 3


def take_notes(source: KeptText, focus: str | None = None) -> SourceNotes:
    """The notes on a text, and its people.

    Args:
        source: The text, with at least one block.
        focus: What to tell above all.
    """
    language = language_of("\n".join(block.text for block in source.blocks)[:_SAMPLE])
    placed = [(number, one) for number, block in enumerate(source.blocks) for one in _sentences(block)]
    own = [_said(one) for _, one in placed]
    found: list[Somebody] = []
    told, says = own, [True] * len(own)
    if language in (None, parsing.LANGUAGE):
        parses = parsing.parsed(own)
        found = people(parses)
        told, says = with_names(own, parses, found), [parse.says for parse in parses]
    every = []
    for (block, one), text, says_it in zip(placed, told, says, strict=True):
        shown = text if one.speaker is None else f"{one.speaker}: {text}"
        every.append(_Told(one, block, shown, 1.0 if says_it else SAYS_NOTHING))
    # Slides have no sentences; in a text that has, what is none is a list of contents or an index.
    least = 1 if all(one.grade < 2 for one in every) else 2
    taken, start = [], 0
    for chapter in chapters(source):
        end = start + len(chapter.blocks)
        noted = _noted([one for one in every if start <= one.block < end], language, focus, least)
        taken.append(_chapter_notes(chapter, start, noted))
        start = end
    return SourceNotes(source.name, language, tuple(taken), tuple(_person(one, placed) for one in found))


def _sentences(block: Block) -> list[Sentence]:
    return [] if is_heading(block) else sentences(block)


def _said(sentence: Sentence) -> str:
    """A sentence as it is parsed: in a transcript without its speaker and without fillers."""
    if sentence.speaker is None:
        return _ORNAMENT.sub("", sentence.text) or sentence.text
    return without_fillers(sentence.text.removeprefix(f"{sentence.speaker}:"))


def _noted(own: Sequence[_Told], language: str | None, focus: str | None, least: int) -> list[tuple[Noted, ...]]:
    """The notes on a chapter's sections, of sentences of this grade at least."""
    texts = [one.text for one in own]
    order = ranked(texts, focus, weights=[one.weight for one in own]) if own else []
    place = {number: rank for rank, number in enumerate(order)}
    found = []
    for section in sections([len(text.split()) for text in texts]):
        best = max(own[number].grade for number in section)
        if best < least:
            continue
        usable = sorted((number for number in section if own[number].grade == best), key=lambda number: place[number])
        words = sum(len(texts[number].split()) for number in section)
        most = min(MOST_SENTENCES, max(1, round(words / WORDS_A_SENTENCE)))
        picked = [own[number] for number in pick(texts, usable, words, language=language, most=most)]
        found.append(tuple(Noted(one.text, one.block, one.sentence.page, one.sentence.label) for one in picked))
    return found


def _chapter_notes(chapter: Chapter, first: int, noted: Sequence[tuple[Noted, ...]]) -> ChapterNotes:
    span, last = chapter.span, first + len(chapter.blocks) - 1
    pages, labels = (None, None) if span is None else (span.pages, span.labels)
    return ChapterNotes(chapter.title, first, last, pages, labels, tuple(noted))


def _person(one: Somebody, placed: Sequence[tuple[int, Sentence]]) -> Person:
    block, sentence = placed[one.sentence]
    aliases = tuple(sorted(one.names - {one.name}))
    return Person(one.name, aliases, one.what, one.mentions, block, sentence.page, sentence.label)
