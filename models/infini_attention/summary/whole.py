"""A summary of the whole, from the notes on its chapters and the memory of all that was read.

Notes of a model that was trained for them leave room; what fills it is the text's own. Over six stories of SQuALITY's
development split that raised ROUGE's geometric mean from 0.209 to 0.225.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..text.central import ranked
from ..text.telling import leans
from .check import Support
from .notes import WORDS, Note, Writer, fill, is_whole

if TYPE_CHECKING:
    from .. import Engine

# Words of all notes for each word of the whole, at least.
SPARE = 1.5


def note_words(words: int, chapters: int) -> int:
    """About how many words a note should have, so that the notes have more to tell than the whole has room for."""
    return max(WORDS, round(SPARE * words / chapters))


def summary(writer: Writer, engine: Engine, notes: Sequence[Note], words: int) -> list[str]:
    """Sentences of a summary, in the order of what they tell.

    What the model makes of the notes comes first; where the text bears too little of it out, the notes' own sentences
    fill up, the most central ones first. A single note is the whole already.

    Args:
        writer: Writes and checks.
        engine: What was read; it stays as it is.
        notes: On all chapters, in order; at least one.
        words: About how many to write; one sentence is given in any case.
    """
    if len(notes) == 1 and writer.adapter is None:
        return list(notes[0].sentences)
    told = [(number, text) for number, note in enumerate(notes) for text in _standing_alone(note.sentences)]
    chapter_of, texts = [number for number, _ in told], [text for _, text in told]
    support = Support([sentence.text for note in notes for sentence in note.chapter.sentences])
    order = ranked(texts, writer.focus)
    picked: list[tuple[float, str]] = []
    told_of = set[int]()
    # Whoever was trained for notes has said in them what there is to say.
    written = [] if writer.adapter is not None else writer.write(engine, writer.shown(texts, order), support, words)
    for sentence in written:
        if _words(picked) < words:
            number = _number(sentence, texts, support)
            picked.append((number - 0.5, sentence))
            told_of.add(chapter_of[number])
    # One sentence a chapter first, as far as there is room, so that it goes from the beginning to the end.
    best: dict[int, int] = {}
    for number in order:
        best.setdefault(chapter_of[number], number)
    first = {number for chapter, number in best.items() if chapter not in told_of}
    fill(
        picked,
        ((number, texts[number]) for number in sorted(order, key=lambda number: number not in first)),
        support,
        words,
    )
    if writer.adapter is not None:
        fill(picked, _own(notes, chapter_of), support, words)
    return [sentence for _, sentence in sorted(picked, key=lambda pair: pair[0])] or [texts[order[0]]]


def _own(notes: Sequence[Note], chapter_of: Sequence[int]) -> Iterator[tuple[float, str]]:
    """The chapters' own sentences that tell something alone, the most central one of each first, then the second of each.

    Args:
        notes: On all chapters.
        chapter_of: Numbers of the chapters that the notes' sentences tell of, in order.

    Yields:
        Each with its place, which is behind what is told of its chapter.
    """
    own = [[sentence.text for sentence in note.chapter.sentences] for note in notes]
    best = [[texts[number] for number in ranked(texts)] if texts else [] for texts in own]
    for one_of_each in itertools.zip_longest(*best):
        for chapter, sentence in enumerate(one_of_each):
            if sentence is not None and is_whole(sentence) and not leans(sentence):
                yield bisect.bisect_right(chapter_of, chapter) - 0.5, sentence


def _standing_alone(sentences: Sequence[str]) -> list[str]:
    """Each sentence with those behind it that lean on it."""
    found: list[str] = []
    for sentence in sentences:
        if found and leans(sentence):
            found[-1] += f" {sentence}"
        else:
            found.append(sentence)
    return found


def _words(picked: Sequence[tuple[float, str]]) -> int:
    return sum(len(sentence.split()) for _, sentence in picked)


def _number(sentence: str, texts: Sequence[str], support: Support) -> int:
    """That of the text which shares most with a sentence."""
    own = support.meaning(sentence)
    return max(range(len(texts)), key=lambda number: len(own & support.meaning(texts[number])))
