"""Notes on chapters: what the model says with a chapter in view and all before it in memory, as far as the text bears it
out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infini_cli import prompts
from infini_cli.answering import GRACE, Turn
from infini_cli.documents import Block
from infini_cli.lookback.passages import is_ended, sentences
from infini_cli.summaries.central import LEAST_WORDS, chosen, ranked
from infini_cli.summaries.chapters import Chapter
from infini_cli.summaries.support import Support

if TYPE_CHECKING:
    from infini_attention import Engine, Loaded

# Words of a note, and the most tokens of a chapter that are in view for it: a small model loses itself in more.
WORDS = 40
VIEW = 600
# Words of a sentence; below it is a fragment.
LEAST_SENTENCE = 4
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
    """

    def __init__(self, loaded: Loaded, focus: str | None = None) -> None:
        self.loaded, self.focus = loaded, focus
        self.tally = Tally()

    def note(self, engine: Engine, chapter: Chapter, words: int = WORDS) -> Note:
        """A note on a chapter.

        Args:
            engine: What was read; it stays as it is.
            chapter: To be told of.
            words: About how many to write.
        """
        own = [sentence.text for sentence in chapter.sentences] or [chapter.text]
        support = Support(own)
        order = ranked(own, self.focus)
        shown = self.shown(own, order)
        said = self.write(engine, shown, support, words)
        if not said:
            # What memory holds may lead a small model astray; the chapter alone is the simpler task.
            said = self.write(self.loaded.engine(use_memory=False), shown, support, words)
        return Note(chapter, tuple(_filled(said, own, order, support, words)))

    def write(self, engine: Engine, shown: Sequence[str], support: Support, words: int) -> list[str]:
        """What the model says of sentences in view, as far as a text bears it out; it may be nothing.

        Args:
            engine: What was read.
            shown: Sentences to have in view.
            support: The text.
            words: About how many to write.
        """
        turn = Turn(self.loaded, self._instruction(" ".join(shown), words), 2 * words)
        turn.in_view = True
        text = "".join(turn.pieces(engine)).strip()
        written = [sentence.text for sentence in sentences(Block(text))] if text else []
        if turn.mid_sentence:
            written = written[:-1]
        kept: list[str] = []
        for sentence in written:
            self.tally.written += 1
            if sentence[-1].isalnum():
                sentence += "."
            whole = not sentence[0].islower() and len(sentence.split()) >= LEAST_SENTENCE
            if whole and support.holds(sentence) and not support.said(sentence, kept):
                kept.append(sentence)
                self.tally.kept += 1
        return kept

    def shown(self, own: Sequence[str], order: Sequence[int]) -> list[str]:
        """Those of a text's sentences that fit into view, the most central ones, in reading order.

        Args:
            own: At least one.
            order: As `ranked` gives it.
        """
        sizes = [len(self.loaded.encode(f" {sentence}")) for sentence in own]
        spare = self.loaded.config.segment_length - len(self.loaded.encode(self._instruction("", WORDS))) - 2 * WORDS
        room = max(LEAST_VIEW, min(VIEW, spare - GRACE))
        return [own[number] for number in chosen(order, sizes, room)] or [own[0]]

    def _instruction(self, text: str, words: int) -> str:
        if self.focus is None:
            return prompts.fill("note", words=words, text=text)
        return prompts.fill("note-focus", words=words, focus=self.focus, text=text)


def _filled(said: Sequence[str], own: Sequence[str], order: Sequence[int], support: Support, words: int) -> list[str]:
    """What was said and, as far as there is room, the text's own sentences, in the order of the text; at least one.

    Args:
        said: Borne out by the text.
        own: The text's sentences.
        order: Their numbers, the most central one first.
        support: The text.
        words: About how many there is room for.
    """
    filled = [(support.place(sentence) or 0, sentence) for sentence in said]
    room = words - sum(len(sentence.split()) for sentence in said)
    for number in order:
        sentence = own[number]
        size = len(sentence.split())
        if _is_whole(sentence) and size <= room and not support.said(sentence, [other for _, other in filled]):
            filled.append((number, sentence))
            room -= size
    return [sentence for _, sentence in sorted(filled, key=lambda one: one[0])] or [own[order[0]]]


def _is_whole(sentence: str) -> bool:
    """Not a cry, a signature, or what a page break has torn off."""
    return len(sentence.split()) >= LEAST_WORDS and is_ended(sentence) and not sentence[0].islower()
