"""Who is who in a text: people, the names that they go by, what they are said to be, and how often they are named."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .english import HE_TITLES, SHE_TITLES, TITLES
from .parsing import Named, Parsed

# Fewer mentions are noise: a parser takes many a capital for a name.
LEAST = 3
MOST = 60
# Of a name's mentions, the share at which somebody does what people do, and how often at least.
ACTING, LEAST_ACTING = 0.05, 2
# A fuller name is used for one of so many mentions, at least.
FULLER = 0.03
# Pronouns behind a name that are counted, and the share of them that decides.
_LEAST_PRONOUNS, _CLEARLY = 3, 0.8


@dataclass
class Somebody:
    """A person of a text.

    Attributes:
        name: The fullest one that is used more than once, or the only one.
        names: All of them.
        what: What the text says that they are; empty where it does not.
        mentions: How often they are named.
        sentence: Number of the sentence that names them first.
        pronoun: "he" or "she", as far as titles and the sentences behind their name tell; None otherwise.
    """

    name: str
    names: frozenset[str]
    what: str
    mentions: int
    sentence: int
    pronoun: str | None = None


def people(sentences: Sequence[Parsed]) -> list[Somebody]:
    """The people of a text, the one that is named most often first.

    Args:
        sentences: All of it, in reading order.
    """
    seen: dict[str, list[Named]] = defaultdict(list)
    first: dict[str, int] = {}
    for number, sentence in enumerate(sentences):
        for named in sentence.names:
            seen[named.name].append(named)
            first.setdefault(named.name, number)
    counts = {name: len(places) for name, places in seen.items()}
    somebody = {name for name, places in seen.items() if _is_person(name, places)}
    acting = {name for name, places in seen.items() if any(place.acts for place in places)}
    main = _main_names(somebody, counts, acting)
    told: dict[str, Counter[str]] = defaultdict(Counter)
    groups: dict[str, list[str]] = defaultdict(list)
    for name, called in main.items():
        groups[called].append(name)
    for sentence in sentences:
        for name, what in sentence.told:
            if name in main:
                told[main[name]][what] += 1
    found = []
    for called, names in groups.items():
        mentions = sum(counts[name] for name in names)
        what = max(told[called], key=lambda what: told[called][what], default="")
        if mentions >= LEAST:
            found.append(Somebody(called, frozenset(names), what, mentions, min(first[name] for name in names)))
    found = sorted(found, key=lambda one: (-one.mentions, one.sentence))[:MOST]
    _tell_pronouns(found, sentences)
    return found


def by_name(found: Sequence[Somebody]) -> Mapping[str, Somebody]:
    """Who is called by each name."""
    return {name: somebody for somebody in found for name in somebody.names}


def _named_in(sentence: Parsed, named: Mapping[str, Somebody]) -> set[str]:
    """The fullest names of those whom a sentence names."""
    return {named[one.name].name for one in sentence.names if one.name in named}


def _is_person(name: str, places: Sequence[Named]) -> bool:
    words = name.split()
    if len(name) < 2 or (name.isupper() and len(name) > 3) or words[-1].lower().rstrip(".") in TITLES:
        return False
    # The first word of a sentence is written large whatever it is.
    if len(words) == 1 and all(place.first for place in places):
        return False
    acting = sum(place.acts for place in places)
    return 2 * sum(place.titled for place in places) >= len(places) or acting >= max(LEAST_ACTING, ACTING * len(places))


def _main_names(somebody: set[str], counts: Mapping[str, int], acting: set[str]) -> dict[str, str]:
    """Each name of somebody, and the fuller ones of the same person, to the fullest.

    A fuller name has more in front, such as a title, or behind it, if whoever is called so does something: "Qornt Hall" is no
    fuller name of Qornt.
    """
    main = {name: name for name in somebody}
    fuller: dict[str, set[str]] = defaultdict(set)
    for name in counts:
        words = name.split()
        for start in range(1, len(words)):
            fuller[" ".join(words[start:])].add(name)
        if len(words) > 1 and name in acting:
            fuller[words[0]].add(name)
    for name in sorted(somebody):
        others = {other for other in fuller[name] if counts[other] >= max(2, FULLER * counts[name])}
        # A family name of several people is nobody's alone.
        if others and len({_gender(other) for other in others} - {None}) < 2:
            called = max(others, key=lambda other: (counts[other], other))
            main |= dict.fromkeys([name, *others], called)
    return main


def _gender(name: str) -> str | None:
    title = name.split()[0].lower().rstrip(".")
    return "he" if title in HE_TITLES else "she" if title in SHE_TITLES else None


def _tell_pronouns(found: Sequence[Somebody], sentences: Sequence[Parsed]) -> None:
    named = by_name(found)
    behind: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence, after in itertools.pairwise(sentences):
        here = _named_in(sentence, named)
        if len(here) == 1 and after.subject in ("he", "she") and not after.names:
            behind[here.pop()][after.subject] += 1
    for somebody in found:
        titled = {_gender(name) for name in somebody.names} - {None}
        counted = behind[somebody.name]
        likely = max(counted, key=lambda pronoun: counted[pronoun], default=None)
        if len(titled) == 1:
            somebody.pronoun = titled.pop()
        elif likely and counted.total() >= _LEAST_PRONOUNS and counted[likely] >= _CLEARLY * counted.total():
            somebody.pronoun = likely


def with_names(sentences: Sequence[str], parses: Sequence[Parsed], found: Sequence[Somebody]) -> list[str]:
    """Sentences with a name in the place of a "he" or "she" that begins them, where it is clear whose.

    It is clear where the sentence before names one person alone, as its subject, of whom the text says the same pronoun
    elsewhere. Speech is left as it is.

    Args:
        sentences: In reading order.
        parses: Of each.
        found: The people of the text.
    """
    named = by_name(found)
    given: list[str] = []
    subject: Somebody | None = None
    for text, parse in zip(sentences, parses, strict=True):
        here = _named_in(parse, named)
        if (
            parse.pronoun
            and subject is not None
            and subject.pronoun == parse.subject
            and not _speaks(text)
            and not here
        ):
            start, end = parse.pronoun
            # The subject stays the same: the next sentence may go on with it.
            given.append(f"{text[:start]}{subject.name}{text[end:]}")
            continue
        given.append(text)
        acting = named.get(parse.subject or "")
        subject = acting if acting is not None and here == {acting.name} and not _speaks(text) else None
    return given


def _speaks(text: str) -> bool:
    return any(mark in text for mark in '"\u201c\u201d\u201e\u00ab\u00bb\u2018') or text.startswith("'")
