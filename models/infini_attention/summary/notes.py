"""Notes on chapters: what the model says of a chapter in view, as far as the text bears it out.

A model that was trained for notes goes by what is in view, because its notes are better so: over six stories of SQuALITY's
development split they came to 0.22 (geometric mean of ROUGE) without memory, and over three of them to 0.19 with all that was
read in memory, against 0.23 without. Another model has all before the chapter in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..model import prompts
from ..qa.turn import GRACE, Turn
from ..text.central import LEAST_WORDS, chosen, ranked
from ..text.passages import is_ended, sentence_texts
from ..text.telling import leans
from .chapters import Chapter
from .check import Support

if TYPE_CHECKING:
    from .. import Engine, Loaded

# Words of a note, and the most tokens of a chapter that are in view for it: a small model loses itself in more.
WORDS = 40
VIEW = 600
# The same for a note of a model that was trained for it: the less it has in view, the less it mixes up.
TOLD_WORDS, TOLD_VIEW = 25, 330
# "The story begins with", "The story is about": what a summary opens with is wrong of every chapter but the first.
OPENINGS = ("The story",)
# However short segments are.
LEAST_VIEW = 64


@dataclass(frozen=True)
class Note:
    """What is said about a chapter.

    Attributes:
        chapter: The chapter.
        sentences: At least one, each borne out by the chapter.
    """

    chapter: Chapter
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentences in a row."""
        return " ".join(self.sentences)


@dataclass
class Tally:
    """Of the sentences that a model wrote, how many were kept."""

    written: int = 0
    kept: int = 0

    @property
    def share(self) -> float | None:
        """None where nothing was written."""
        return self.kept / self.written if self.written else None


class Writer:
    """Writes about texts in view, and keeps what they bear out.

    Args:
        loaded: The model.
        focus: What the reader asks about.

    Attributes:
        tally: Of all that was written so far.
        adapter: What the model was trained to write notes with; None where it was not, or is asked about something.
    """

    def __init__(self, loaded: Loaded, focus: str | None = None) -> None:
        from ..model.adapters import load_lora

        self.loaded, self.focus = loaded, focus
        self.tally = Tally()
        self.adapter = None if focus else load_lora(loaded.model, "writer", loaded.recipe.writer_file)

    def note(self, engine: Engine, chapter: Chapter, words: int = WORDS) -> Note:
        """A note on a chapter.

        Args:
            engine: What was read; it stays as it is.
            chapter: To be told of.
            words: About how many to write.
        """
        own = [sentence.text for sentence in chapter.sentences] or [chapter.text]
        if self.adapter is not None and (told := self._told(own, words, chapter.is_first)):
            return Note(chapter, tuple(told))
        support = Support(own)
        order = ranked(own, self.focus)
        shown = self.shown(own, order)
        said = self.write(engine, shown, support, words)
        if not said:
            # What memory holds may lead a small model astray; the chapter alone is the simpler task.
            said = self.write(self.loaded.engine(use_memory=False), shown, support, words)
        return Note(chapter, tuple(_filled(said, own, order, support, words)))

    def _told(self, own: Sequence[str], words: int, first: bool) -> list[str]:
        """What the model says that was trained for it, of one part of a chapter after the other; it goes by them alone."""
        from ..qa.reader import by_passages

        assert self.adapter is not None
        sizes = self._sizes(own)
        count = min(math.ceil(sum(sizes) / self._room(TOLD_VIEW)), max(1, round(words / TOLD_WORDS)))
        writing = by_passages(self.loaded.model, self.adapter, ())
        told: list[str] = []
        for number, part in enumerate(parts(own, sizes, count)):
            view = self.shown(part, ranked(part), TOLD_VIEW)
            unsaid = () if first and number == 0 else OPENINGS
            told += self.write(writing, view, Support.of_view(view), words // count, told, unsaid)
        return told

    def write(
        self,
        engine: Engine,
        shown: Sequence[str],
        support: Support,
        words: int,
        before: Sequence[str] = (),
        unsaid: tuple[str, ...] = (),
    ) -> list[str]:
        """What the model says of sentences in view, as far as a text bears it out; it may be nothing.

        Args:
            engine: What was read.
            shown: Sentences to have in view.
            support: The text.
            words: About how many to write.
            before: What was said already.
            unsaid: See `answering.Turn`.
        """
        turn = Turn(self.loaded, self.instruction(" ".join(shown), words), 2 * words)
        turn.in_view = True
        turn.unsaid = unsaid
        text = "".join(turn.pieces(engine)).strip()
        written = sentence_texts(text)
        if turn.mid_sentence:
            written = written[:-1]
        kept: list[str] = []
        clear = False
        for sentence in written:
            self.tally.written += 1
            if sentence[-1].isalnum():
                sentence += "."
            whole = not sentence[0].islower() and support.tells(sentence)
            # What leans on a sentence that was dropped would lean on another one.
            clear = whole and (clear or not leans(sentence)) and support.holds(sentence)
            if clear and not support.said(sentence, [*before, *kept]):
                kept.append(sentence)
                self.tally.kept += 1
        return kept

    def shown(self, own: Sequence[str], order: Sequence[int], most: int = VIEW) -> list[str]:
        """Those of a text's sentences that fit into view, the most central ones, in reading order.

        Args:
            own: At least one.
            order: As `ranked` gives it.
            most: Tokens, if there is room for so many.
        """
        return [own[number] for number in chosen(order, self._sizes(own), self._room(most))] or [own[0]]

    def _sizes(self, own: Sequence[str]) -> list[int]:
        return [len(self.loaded.encode(f" {sentence}")) for sentence in own]

    def _room(self, most: int) -> int:
        spare = self.loaded.config.segment_length - len(self.loaded.encode(self.instruction("", WORDS))) - 2 * WORDS
        return max(LEAST_VIEW, min(most, spare - GRACE))

    def instruction(self, text: str, words: int) -> str:
        """What the model is told: to tell of a text in about so many words."""
        if self.focus is None:
            return prompts.fill("note", words=words, text=text)
        return prompts.fill("note-focus", words=words, focus=self.focus, text=text)


def parts(own: Sequence[str], sizes: Sequence[int], count: int) -> Iterator[Sequence[str]]:
    """Sentences in so many runs of about the same size; a run has at least one."""
    part: list[str] = []
    size, yielded, total = 0, 0, sum(sizes)
    for sentence, own_size in zip(own, sizes, strict=True):
        part.append(sentence)
        size += own_size
        if size * count >= total * (yielded + 1):
            yield part
            part, yielded = [], yielded + 1


def _filled(said: Sequence[str], own: Sequence[str], order: Sequence[int], support: Support, words: int) -> list[str]:
    """What was said and, as far as there is room, the text's own sentences, in the order of the text; at least one.

    Args:
        said: Borne out by the text.
        own: The text's sentences.
        order: Their numbers, the most central one first.
        support: The text.
        words: About how many there is room for.
    """
    filled: list[tuple[float, str]] = [(support.place(sentence) or 0, sentence) for sentence in said]
    fill(filled, ((number, own[number]) for number in order if is_whole(own[number])), support, words)
    return [sentence for _, sentence in sorted(filled, key=lambda one: one[0])] or [own[order[0]]]


def fill(picked: list[tuple[float, str]], others: Iterable[tuple[float, str]], support: Support, words: int) -> None:
    """Adds to sentences those others that fit and are not said yet, each with its place.

    Args:
        picked: With their places; it grows.
        others: The first that fits is the first to be added.
        support: Tells what is said already.
        words: The most that all together may have.
    """
    room = words - sum(len(sentence.split()) for _, sentence in picked)
    for place, sentence in others:
        size = len(sentence.split())
        if size <= room and not support.said(sentence, [other for _, other in picked]):
            picked.append((place, sentence))
            room -= size


def is_whole(sentence: str) -> bool:
    """Not a cry, a title, a signature, or what a page break has torn off."""
    torn = sentence[0].islower() or not is_ended(sentence)
    return len(sentence.split()) >= LEAST_WORDS and not torn and not sentence.isupper()
