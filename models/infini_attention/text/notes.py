"""Notes on what was read, and who is who in it: as they are taken while reading, and as a state carries them along."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from ..documents.span import Span, span_of
from ..errors import StateError

# What a state calls them.
ATTACHMENT = "notes"
_VERSION = 1
# Of all notes that a state carries, bytes as JSON: about a tenth of the text that it carries.
MOST_NOTES = 8_000_000

_Number = Annotated[int, Meta(ge=0, le=10**9)]
_Text = Annotated[str, Meta(min_length=1, max_length=100_000)]
_Name = Annotated[str, Meta(max_length=4096)]


@dataclass(frozen=True)
class Noted:
    """A sentence of a note.

    Attributes:
        text: It.
        block: Number of the block that it rests on, from 0, among those of its source.
        page: The physical page, from 1.
        label: The page's printed number, where the file tells it.
    """

    text: _Text
    block: _Number
    page: _Number | None = None
    label: _Name | None = None

    @property
    def span(self) -> Span | None:
        """The page that it stands on."""
        return span_of([self])


@dataclass(frozen=True)
class ChapterNotes:
    """The notes on a chapter, or on another part of a source.

    Attributes:
        title: Its heading; None where there is none.
        first: Number of its first block.
        last: Number of its last one.
        pages: First and last physical page; None where there are no pages.
        labels: The same as they are printed, where the file tells.
        sections: Of each section the note, at least one sentence.
    """

    title: _Name | None
    first: _Number
    last: _Number
    pages: tuple[_Number, _Number] | None
    labels: tuple[_Name, _Name] | None
    sections: tuple[tuple[Noted, ...], ...]

    @property
    def span(self) -> Span | None:
        """The pages that it stands on."""
        return None if self.pages is None else Span(self.pages, self.labels)

    @property
    def sentences(self) -> Iterator[Noted]:
        """Of all sections, in order."""
        return (sentence for section in self.sections for sentence in section)

    def label(self, number: int, total: int) -> str:
        """What a reader calls it: its title with its pages, or the part of the text that it is.

        Args:
            number: Of the chapter in its source, from 0.
            total: Chapters of the source.
        """
        title = self.title or f"Part {number + 1} of {total}"
        return title if self.span is None else f"{title} ({self.span})"


@dataclass(frozen=True)
class Person:
    """Somebody whom a text names.

    Attributes:
        name: The fullest name that the text often uses.
        aliases: Others that are taken for the same person's.
        what: What the text says that they are; empty where it does not.
        mentions: How often they are named.
        block: Number of the block that names them first.
        page: Its physical page.
        label: That page's printed number.
    """

    name: _Name
    aliases: tuple[_Name, ...]
    what: _Name
    mentions: _Number
    block: _Number
    page: _Number | None = None
    label: _Name | None = None

    @property
    def span(self) -> Span | None:
        """The page that names them first."""
        return span_of([self])


@dataclass(frozen=True)
class SourceNotes:
    """The notes on a source.

    Attributes:
        name: The source's.
        language: As an ISO 639-1 code; None where it cannot be told.
        chapters: In order; together they are all of it.
        people: The one that is named most often first; none where the language's names cannot be told.
    """

    name: _Name
    language: _Name | None
    chapters: tuple[ChapterNotes, ...]
    people: tuple[Person, ...]


class _Version(msgspec.Struct):
    version: int


class _Notes(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    sources: list[SourceNotes]


def pack(notes: Sequence[SourceNotes]) -> bytes:
    """Notes as compressed bytes."""
    return zlib.compress(msgspec.json.encode(_Notes(_VERSION, list(notes))), 9)


def unpack(content: bytes) -> list[SourceNotes]:
    """What `pack` made.

    Raises:
        StateError: If it is damaged, larger than any, or of another release.
    """
    try:
        inflating = zlib.decompressobj()
        text = inflating.decompress(content, MOST_NOTES)
        if not inflating.eof or inflating.unused_data:
            raise ValueError("the notes are cut short, or larger than any")
        version = msgspec.json.decode(text, type=_Version).version
        if version != _VERSION:
            raise StateError(
                f"the state carries notes of version {version}; this release knows {_VERSION}",
                "Read the document again, or use the release that wrote the state.",
            )
        return msgspec.json.decode(text, type=_Notes).sources
    except (ValueError, RecursionError, zlib.error) as error:
        raise StateError(
            "the notes that the state carries are damaged", "Restore the state from a copy, or read the document again."
        ) from error
