"""Notes to summaries: of each chapter, and of the whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from ..text.notes import ChapterNotes, Noted, SourceNotes
from .levels import of_all, of_chapter

PARAGRAPH, BULLETS, OUTLINE = STYLES = ("paragraph", "bullets", "outline")
# Words of a chapter's note, about; in an outline, that its notes share, and the least of each.
CHAPTER_WORDS, LEAST_WORDS = 40, 15
# What a summary says of a text without a sentence or a line of words.
NOTHING = "There is nothing to summarise: the text has no sentences."


@dataclasses.dataclass(frozen=True)
class ChapterSummary:
    """What is told of a chapter.

    Attributes:
        source: The name of its source.
        label: What a reader calls it.
        notes: On its sections.
        sentences: Some of them, in order; none where the chapter has no sentence.
    """

    source: str
    label: str
    notes: ChapterNotes
    sentences: tuple[Noted, ...]

    @property
    def text(self) -> str:
        """The sentences in a row."""
        return told(self.sentences)


@dataclasses.dataclass(frozen=True)
class Summary:
    """A summary, and what is told of each chapter.

    Attributes:
        style: One of ``STYLES``.
        sentences: Of the whole; those of the chapters where the style is an outline.
        chapters: In order.
    """

    style: str
    sentences: tuple[Noted, ...]
    chapters: tuple[ChapterSummary, ...]

    @property
    def text(self) -> str:
        """The whole, in its style."""
        return self.shown(cite=False)

    def shown(self, *, cite: bool) -> str:
        """The same, with the page behind each sentence where that is wanted and known."""
        if not self.sentences:
            return NOTHING
        if self.style == OUTLINE:
            return "\n".join(told(chapter.sentences, cite=cite) for chapter in self.chapters if chapter.sentences)
        if self.style == BULLETS:
            return "\n".join(f"- {told([one], cite=cite)}" for one in self.sentences)
        return told(self.sentences, cite=cite)


def told(sentences: Iterable[Noted], *, cite: bool = False) -> str:
    """Sentences in a row, with the page behind each where that is wanted and known."""
    return " ".join(f"{one.text} ({one.span})" if cite and one.span is not None else one.text for one in sentences)


def summary(
    sources: Sequence[SourceNotes],
    words: int,
    *,
    style: str = PARAGRAPH,
    focus: str | None = None,
    on_chapter: Callable[[ChapterSummary], None] = lambda chapter: None,
) -> Summary:
    """A summary of what notes were taken on.

    Args:
        sources: Their notes, in order.
        words: About how many; of all chapters together where the style is an outline.
        style: One of ``STYLES``.
        focus: What to tell above all: notes that were taken for it find more.
        on_chapter: Called with each chapter as soon as it is there.
    """
    count = sum(len(source.chapters) for source in sources)
    outline = style == OUTLINE
    each = max(LEAST_WORDS, words // max(1, count)) if outline or count == 1 else CHAPTER_WORDS
    chapters = []
    for source in sources:
        for number, notes in enumerate(source.chapters):
            label = notes.label(number, len(source.chapters))
            if len(sources) > 1:
                alone = len(source.chapters) == 1 and notes.title is None
                label = source.name if alone else f"{source.name}, {label}"
            said = of_chapter(notes, each, focus=focus, language=source.language)
            chapters.append(ChapterSummary(source.name, label, notes, tuple(said)))
            on_chapter(chapters[-1])
    every = (
        [one for chapter in chapters for one in chapter.sentences] if outline else of_all(sources, words, focus=focus)
    )
    return Summary(style, tuple(every), tuple(chapters))
