"""Questions about the whole of a text, in English: answered from its notes and its people, since no passage tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..summary.levels import of_all
from ..text.notes import Person, SourceNotes

# Words of an answer that tells what a text is about.
WORDS = 60
# Of the mentions of the one who is named most often, the share from which on another one is a main character too.
AS_OFTEN = 0.8
# People that are named where all are asked for.
MOST_PEOPLE = 6
_TEXT = "book|novel|story|tale|text|document|article|paper|report|manual|contract|meeting|chapter|file|play|letter"
_ABOUT = re.compile(
    rf"\W*(?:what(?:'s|\u2019s| is| was| are| were) (?:(?:this|the|it|that) ?)?(?:{_TEXT})?s? ?(?:all )?about"
    rf"|what happens in (?:this|the) (?:{_TEXT})"
    rf"|(?:please )?summari[sz]e (?:this|the|it)(?: whole)?(?: (?:{_TEXT}))?"
    rf"|(?:what(?:'s| is)|give me) (?:a|the) summary(?: of (?:this|the) (?:{_TEXT}))?)\W*",
    re.IGNORECASE,
)
_PEOPLE = re.compile(
    rf"\W*(?:who|what)(?:'s|\u2019s| is| was| are| were) (?:(?:the )?names? of )?(?:this|the)?(?: (?:{_TEXT}))?(?:'s|\u2019s)?"
    r" ?(?P<main>main |central |leading |chief |most important )?"
    r"(?P<kind>protagonist|hero|heroine|characters?|persons?|people|figures?)(?:'s name|\u2019s name)?"
    rf"(?: (?:in|of) (?:this|the|it)(?: (?:{_TEXT}))?)?(?: called| named)?\W*",
    re.IGNORECASE,
)


class FromNotes(NamedTuple):
    """An answer, and sentences of the text that it rests on."""

    text: str
    rests_on: Sequence[str]


def from_notes(question: str, notes: Callable[[], Sequence[SourceNotes]]) -> FromNotes | None:
    """The answer to a question about the whole; None where it is none, or the notes do not tell.

    Args:
        question: As a person put it.
        notes: Gives those on all sources; called only for such a question.
    """
    if _ABOUT.fullmatch(question):
        told = [one.text for one in of_all(notes(), WORDS)]
        return FromNotes(" ".join(told), told) if told else None
    match = _PEOPLE.fullmatch(question)
    if match is None:
        return None
    people = sorted((one for source in notes() for one in source.people), key=lambda one: -one.mentions)
    chosen = _chosen(people, all_of_them=match["kind"].lower().endswith(("s", "people")) and not match["main"])
    return FromNotes(f"{_listed([one.name for one in chosen])}.", [one.name for one in chosen]) if chosen else None


def _chosen(people: Sequence[Person], *, all_of_them: bool) -> Sequence[Person]:
    if all_of_them or not people:
        return people[:MOST_PEOPLE]
    return [one for one in people[:3] if one.mentions >= AS_OFTEN * people[0].mentions]


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
