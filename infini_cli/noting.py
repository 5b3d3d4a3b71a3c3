"""Notes that a state carries, and who is who in what it read: for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

from infini_attention.qa.cite import place_record
from infini_attention.text.notes import Noted, SourceNotes

from infini_cli.exits import one_line


def record(notes: Sequence[SourceNotes]) -> list[dict[str, Any]]:
    """Notes as plain JSON values, a source each."""
    return [
        {
            "source": source.name,
            "language": source.language,
            "people": [
                {
                    "name": person.name,
                    "aliases": list(person.aliases),
                    "what": person.what or None,
                    "mentions": person.mentions,
                    **place_record(person.span),
                }
                for person in source.people
            ],
            "chapters": [
                {
                    "title": chapter.title,
                    **place_record(chapter.span),
                    "sections": [[sentence_record(one) for one in section] for section in chapter.sections],
                }
                for chapter in source.chapters
            ],
        }
        for source in notes
    ]


def sentence_record(one: Noted) -> dict[str, Any]:
    """A sentence with its page, as plain JSON values."""
    return {"text": one.text, **place_record(one.span)}


def write(notes: Sequence[SourceNotes], out: IO[str]) -> None:
    """Notes as text: the people of each source, then its chapters, a line for each section."""
    for source in notes:
        out.write(f"\nnotes on {one_line(source.name)}\n")
        for person in source.people:
            called = f" ({', '.join(person.aliases)})" if person.aliases else ""
            what = f", {person.what}" if person.what else ""
            first = "" if person.span is None else f", first on {person.span}"
            out.write(one_line(f"  {person.name}{called}{what}: named {person.mentions} times{first}") + "\n")
        for number, chapter in enumerate(source.chapters):
            out.write(f"\n{one_line(chapter.label(number, len(source.chapters)))}\n")
            for section in chapter.sections:
                out.write(f"  - {one_line(' '.join(one.text for one in section))}\n")
