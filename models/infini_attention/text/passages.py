"""Text cut into passages that can be found, read again and cited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..documents import Block
from ..documents.span import Span, span_of
from .kept import KeptText
from .tables import rows_of
from .turns import turns_of

# Words of a passage, about; a sentence is never torn apart for them.
WORDS = 80
# Where a sentence ends: closing marks belong to it, what follows is not its continuation; titles and initials do not end
# one.
_SENTENCE = re.compile(
    r"(?<=[.!?\u2026])(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\b[A-Z]\.)[\"'\u2019\u201d)\]]*\s+(?=[\"'\u2018\u201c(\[]?[^\sa-z])|(?<=[\u3002\uff01\uff1f])|\n{2,}"
)

_ENDED = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u2019\u201d)\]]*$")


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a row of a table, and where it stands.

    Attributes:
        text: As it is shown.
        page: The physical page, from 1.
        heading: The heading that it stands under.
        label: The page's printed number, where the file tells it.
        told: What a model reads instead, where that is something else: a row of a table, a sentence a cell.
        speaker: Who says it, in a transcript; their name stands at the beginning of a turn's first sentence.
    """

    text: str
    page: int | None
    heading: str | None
    label: str | None = None
    told: tuple[str, ...] = ()
    speaker: str | None = None


@dataclass(frozen=True)
class Passage:
    """A run of sentences of one source under one heading.

    Attributes:
        source: Number of the source, from 0.
        number: Number of the passage among all, from 0, in reading order.
        sentences: At least one.
    """

    source: int
    number: int
    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        """The sentences in a row."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def told(self) -> str:
        """The same as a model reads it, and as it is searched."""
        return " ".join(" ".join(sentence.told) or sentence.text for sentence in self.sentences)

    @property
    def cells(self) -> tuple[str, ...]:
        """The sentences of a table's row that stands alone; none of other passages."""
        return self.sentences[0].told

    @property
    def heading(self) -> str | None:
        """The heading that it stands under."""
        return self.sentences[0].heading

    @property
    def span(self) -> Span | None:
        """The pages that it stands on; None where the source has no pages."""
        return span_of(self.sentences)


def passages(texts: Sequence[KeptText], words: int = WORDS) -> list[Passage]:
    """All passages of several sources, in reading order.

    Args:
        texts: The sources.
        words: After so many a passage ends with its sentence; one that is longer stays whole. After half of them it ends
            with its block: what a paragraph tells belongs together.
    """
    found: list[Passage] = []
    for source, text in enumerate(texts):
        for run in _runs(text.blocks, words):
            found.append(Passage(source, len(found), tuple(run)))
    return found


def sentences(block: Block) -> list[Sentence]:
    """The sentences of a block, as far as punctuation tells, or the rows of a table."""
    if rows := rows_of(block.text):
        return [Sentence(row.text, block.page, block.heading, block.label, row.told) for row in rows]
    if turns := turns_of(block.text):
        return [
            Sentence(text, block.page, block.heading, block.label, speaker=turn.speaker)
            for turn in turns
            for text in _cut(f"{turn.speaker}: {turn.said}")
        ]
    return [Sentence(text, block.page, block.heading, block.label) for text in _cut(block.text)]


def _cut(text: str) -> list[str]:
    parts, start = [], 0
    for match in _SENTENCE.finditer(text):
        # Closing marks end the sentence before them.
        end = match.start() + len(match[0]) - len(match[0].lstrip("\"'\u2019\u201d)]"))
        parts.append(text[start:end])
        start = match.end()
    parts.append(text[start:])
    return [" ".join(part.split()) for part in parts if part.strip()]


def sentence_texts(text: str) -> list[str]:
    """The sentences of a text that stands on no page."""
    return [sentence.text for sentence in sentences(Block(text))]


def is_ended(sentence: str) -> bool:
    """Whether it ends as a sentence does: a heading does not, nor what a page break has torn off."""
    return _ENDED.search(sentence) is not None


def _runs(blocks: Sequence[Block], words: int) -> Iterator[list[Sentence]]:
    run: list[Sentence] = []
    count = 0
    for block in blocks:
        own = sentences(block)
        if run and block.heading != run[-1].heading:
            yield run
            run, count = [], 0
        for sentence in own:
            # A row stands alone: a small model takes the figure of the next one otherwise.
            if run and (sentence.told or run[-1].told):
                yield run
                run, count = [], 0
            run.append(sentence)
            count += len((" ".join(sentence.told) or sentence.text).split())
            # A page may end inside a sentence.
            ends = sentence is own[-1] and is_ended(sentence.text)
            if count >= words or (ends and 2 * count >= words):
                yield run
                run, count = [], 0
    if run:
        yield run
