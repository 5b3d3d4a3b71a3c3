"""Notes on a text: of each section the sentences that stand for it, in the text's own words.

They are no model's words: of the sentences that the 135M default wrote about four texts, trained for it, one in twelve was
borne out, however they were checked. What is changed is a "he" or "she" at a sentence's beginning, where it is clear whose
name belongs there.
"""

from __future__ import annotations

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
# What a sentence counts that says nothing, and the length from which on a sentence counts the less, in words.
SAYS_NOTHING, LONG = 0.3, 40
# Of a text's beginning, letters that tell its language.
_SAMPLE = 20_000


@dataclass(frozen=True)
class _Told:
    """A sentence of a text as a note would have it."""

    sentence: Sentence
    block: int
    text: str
    weight: float


def take_notes(source: KeptText, focus: str | None = None) -> SourceNotes:
    """The notes on a text, and its people.

    Args:
        source: The text, with at least one block.
        focus: What to tell above all.
    """
    language = language_of("\n".join(block.text for block in source.blocks)[:_SAMPLE])
    placed = [(number, one) for number, block in enumerate(source.blocks) for one in _sentences(block)]
    own = [_said(one) for _, one in placed]
    if language in (None, parsing.LANGUAGE):
        parses = parsing.parsed(own)
        found = people(parses)
        told = with_names(own, parses, found)
        says = [parse.says for parse in parses]
    else:
        found, told, says = [], own, [True] * len(own)
    every = [
        _Told(
            one,
            number,
            text if one.speaker is None else f"{one.speaker}: {text}",
            (1.0 if says_it else SAYS_NOTHING) * min(1.0, LONG / max(1, len(text.split()))),
        )
        for (number, one), text, says_it in zip(placed, told, says, strict=True)
    ]
    taken, start = [], 0
    for chapter in chapters(source):
        end = start + len(chapter.blocks)
        taken.append(
            _chapter_notes(chapter, start, [one for one in every if start <= one.block < end], language, focus)
        )
        start = end
    return SourceNotes(source.name, language, tuple(taken), tuple(_person(one, placed) for one in found))


def _sentences(block: Block) -> list[Sentence]:
    return [] if is_heading(block) else sentences(block)


def _said(sentence: Sentence) -> str:
    """A sentence as it is parsed: in a transcript without its speaker and without fillers."""
    if sentence.speaker is None:
        return sentence.text
    return without_fillers(sentence.text.removeprefix(f"{sentence.speaker}:"))


def _chapter_notes(
    chapter: Chapter, first: int, own: Sequence[_Told], language: str | None, focus: str | None
) -> ChapterNotes:
    texts = [one.text for one in own]
    order = ranked(texts, focus, weights=[one.weight for one in own]) if own else []
    place = {number: rank for rank, number in enumerate(order)}
    noted = []
    for section in sections([len(text.split()) for text in texts]):
        whole = [number for number in section if is_whole(texts[number])]
        # What leans on the sentence before it says little without that.
        usable = [number for number in whole if not leans(texts[number])] or whole
        usable = usable or [number for number in section if is_phrase(texts[number])]
        words = sum(len(texts[number].split()) for number in section)
        most = min(MOST_SENTENCES, max(1, round(words / WORDS_A_SENTENCE)))
        if usable:
            best = sorted(usable, key=lambda number: place[number])
            noted.append(
                tuple(_noted(own[number]) for number in pick(texts, best, words, language=language, most=most))
            )
    span = chapter.span
    return ChapterNotes(
        chapter.title,
        first,
        first + len(chapter.blocks) - 1,
        None if span is None else span.pages,
        None if span is None else span.labels,
        tuple(noted),
    )


def _noted(one: _Told) -> Noted:
    return Noted(one.text, one.block, one.sentence.page, one.sentence.label)


def _person(one: Somebody, placed: Sequence[tuple[int, Sentence]]) -> Person:
    block, sentence = placed[one.sentence]
    aliases = tuple(sorted(one.names - {one.name}))
    return Person(one.name, aliases, one.what, one.mentions, block, sentence.page, sentence.label)
