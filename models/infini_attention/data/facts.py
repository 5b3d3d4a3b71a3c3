"""Facts that change, told one short sentence each, and a question about how matters stand.

Modelled on the first five tasks of bAbI (Weston et al. 2015, "Towards AI-Complete Question Answering"). The kinds of
facts and questions, the persons, places and things are as usual there; the sentences are our own. A small world is
simulated behind them: nobody moves to where they are, takes what lies elsewhere, puts down or hands over what they do not
hold, or hands it to somebody in another place. Questions need nothing that has not been told.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from .hiding import Hidden, names

PEOPLE = ("Mary", "John", "Daniel", "Sandra", "Bill", "Fred", "Jeff")
PLACES = ("kitchen", "garden", "office", "bathroom", "bedroom", "hallway")
THINGS = ("football", "milk", "apple")
# Steps to the right and up on a map.
DIRECTIONS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}

MOVES = (" {} went to the {}.", " {} walked over to the {}.", " {} strolled to the {}.", " {} hurried to the {}.")
TAKES = (" {} picked up the {}.", " {} took the {} along.", " {} collected the {}.", " {} got hold of the {}.")
DROPS = (" {} put down the {}.", " {} dropped the {}.", " {} let go of the {}.", " {} left the {} behind.")
GIFTS = (
    " {giver} gave the {thing} to {receiver}.",
    " {giver} handed the {thing} over to {receiver}.",
    " {giver} passed {receiver} the {thing}.",
    " {giver} let {receiver} have the {thing}.",
)
RELATIONS = (" The {} is {} of the {}.", " The {} lies to the {} of the {}.")
# Each question about a gift with the part of the gift that it asks for.
GIFT_QUESTIONS = (
    ("Who gave away the {thing}?", "giver"),
    ("Who gave the {thing} to {receiver}?", "giver"),
    ("Who received the {thing}?", "receiver"),
    ("Who did {giver} give the {thing} to?", "receiver"),
    ("What did {giver} give to {receiver}?", "thing"),
)
PROMPT = "\nQuestion: {}\nAnswer:"

# How many people a story has, as in bAbI.
COMPANY = 4
# The shortest stories of thing_place_before have a question in one of about 200 draws, all others more often.
MOST_TRIES = 10_000

T = TypeVar("T")
Questions = list[tuple[str, str]]


class World:
    """People who move about with things; each action tells a fact, or cannot be done and returns false.

    A person is nowhere before their first move. A thing that nobody has touched yet may be found by anybody, anywhere.

    Args:
        rng: draws who does what.

    Attributes:
        sentences: the facts so far, in time order.
        places: where each person is who has moved.
        trails: where each thing that was touched has been, in time order; no place twice in a row.
        holders: who holds each thing that is held.
        gifts: who gave what to whom: ``giver``, ``thing`` and ``receiver``.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.company = shuffled(PEOPLE, rng)[:COMPANY]
        self.sentences: list[str] = []
        self.places: dict[str, str] = {}
        self.trails: dict[str, list[str]] = {}
        self.holders: dict[str, str] = {}
        self.gifts: list[dict[str, str]] = []

    def act(self, count: int, *actions: Callable[[World, str], bool]) -> None:
        """Tells ``count`` facts: somebody does any of the actions, or else the first that can be done."""
        for _ in range(count):
            person = pick(self.company, self.rng)
            any(action(self, person) for action in (pick(actions, self.rng), *actions))

    def move(self, person: str, places: Sequence[str] = PLACES) -> bool:
        """To another one of the places, with all that the person holds."""
        others = [place for place in places if place != self.places.get(person)]
        if not others:
            return False
        place = self.places[person] = pick(others, self.rng)
        for thing in self.held(person):
            self.trails[thing].append(place)
        return self.tell(MOVES, person, place)

    def join(self, person: str) -> bool:
        """To a place where somebody else is."""
        return self.move(person, tuple(self.places.values()))

    def take(self, person: str) -> bool:
        """Something that lies where the person is."""
        place = self.places.get(person)
        lying = [t for t in THINGS if t not in self.holders and self.trails.get(t, [place])[-1] == place]
        if place is None or not lying:
            return False
        thing = pick(lying, self.rng)
        self.holders[thing] = person
        self.trails.setdefault(thing, [place])
        return self.tell(TAKES, person, thing)

    def drop(self, person: str) -> bool:
        """Something that the person holds."""
        held = self.held(person)
        if not held:
            return False
        thing = pick(held, self.rng)
        del self.holders[thing]
        return self.tell(DROPS, person, thing)

    def give(self, giver: str) -> bool:
        """Something that the giver holds, to somebody in the same place."""
        held = self.held(giver)
        near = [person for person, place in self.places.items() if person != giver and place == self.places.get(giver)]
        if not held or not near:
            return False
        gift = {"giver": giver, "thing": pick(held, self.rng), "receiver": pick(near, self.rng)}
        self.holders[gift["thing"]] = gift["receiver"]
        self.gifts.append(gift)
        return self.tell(GIFTS, **gift)

    def held(self, person: str) -> list[str]:
        """What the person holds."""
        return [thing for thing, holder in self.holders.items() if holder == person]

    def tell(self, templates: Sequence[str], *words: str, **named: str) -> bool:
        """Says what has been done, in one of several ways."""
        self.sentences.append(pick(templates, self.rng).format(*words, **named))
        return True


def one_fact(rng: np.random.Generator, count: int) -> tuple[list[str], Questions]:
    """Where is a person?"""
    world = World(rng)
    world.act(count, World.move)
    return world.sentences, [(f"Where is {person}?", place) for person, place in world.places.items()]


def two_facts(rng: np.random.Generator, count: int) -> tuple[list[str], Questions]:
    """Where is a thing? Where the person is who holds it, or was who put it down last."""
    world = World(rng)
    world.act(count, World.move, World.take, World.drop)
    return world.sentences, [(f"Where is the {thing}?", trail[-1]) for thing, trail in world.trails.items()]


def three_facts(rng: np.random.Generator, count: int) -> tuple[list[str], Questions]:
    """Where was a thing before? Asked of a place that it always came to from the same one, and was not first in."""
    world = World(rng)
    world.act(count, World.move, World.take, World.drop)
    return world.sentences, unambiguous(
        (f"Where was the {thing} before it was in the {place}?", before)
        for thing, trail in world.trails.items()
        for before, place in pairwise(trail)
        if place != trail[0]
    )


def two_arguments(rng: np.random.Generator, count: int) -> tuple[list[str], Questions]:
    """What is in a direction of a place? Asked where one place alone is on that side, and next to it."""
    first, *others = shuffled(PLACES, rng)[: count + 1]
    cells, sentences, beside = {first: (0, 0)}, [], []
    for new in others:
        free = [
            (old, direction, cell)
            for old, (x, y) in cells.items()
            for direction, (right, up) in DIRECTIONS.items()
            if (cell := (x + right, y + up)) not in cells.values()
        ]
        old, direction, cells[new] = pick(free, rng)
        beside += [(new, direction, old), (old, BACK[direction], new)]
        sentences.append(pick(RELATIONS, rng).format(*pick(beside[-2:], rng)))
    questions = []
    for answer, direction, place in beside:
        (right, up), (x, y) = DIRECTIONS[direction], cells[place]
        if sum((i - x) * right + (j - y) * up > 0 for i, j in cells.values()) == 1:
            questions.append((f"What is {direction} of the {place}?", answer))
            questions.append((f"What is the {place} {BACK[direction]} of?", answer))
    return sentences, questions


def three_arguments(rng: np.random.Generator, count: int) -> tuple[list[str], Questions]:
    """Who gave what to whom? Asked where all gifts that may be meant have the same answer."""
    world = World(rng)
    world.act(count, World.give, World.take, World.join, World.move, World.drop)
    return world.sentences, unambiguous(
        (text.format(**gift), gift[part]) for gift in world.gifts for text, part in GIFT_QUESTIONS
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """A kind of story.

    Attributes:
        story: tells as many facts as are asked for, with all questions about them that have one right answer.
        facts: the least and the most facts that a story has.
    """

    story: Callable[[np.random.Generator, int], tuple[list[str], Questions]]
    facts: tuple[int, int]


KINDS = {
    "person_place": Kind(one_fact, (2, 10)),
    "thing_place": Kind(two_facts, (2, 24)),
    "thing_place_before": Kind(three_facts, (6, 40)),
    "direction": Kind(two_arguments, (2, 2)),
    "gift": Kind(three_arguments, (4, 24)),
}
TASKS = tuple(KINDS)


def draw(task: str, rng: np.random.Generator) -> Hidden:
    """Draws a story and a question about it: one of those that ``draw_all`` gives."""
    return pick(draw_all(task, rng), rng)


def draw_all(task: str, rng: np.random.Generator) -> list[Hidden]:
    """Draws a story and all questions about it that the story alone answers, in one way only.

    Args:
        task: where a person is (``"person_place"``), where a thing is (``"thing_place"``), where it was before (``"thing_place_before"``), what is in
            a direction of a place (``"direction"``), or who gave what to whom (``"gift"``).
        rng: the only source of randomness.

    Returns:
        For each question, at least one, the facts in time order, the question, and its answer in one word: a name, a
        place or a thing.

    Raises:
        ValueError: there is no such task.
        RuntimeError: no story with a question was found; not to be expected.
    """
    if task not in KINDS:
        raise ValueError(f"no task {task!r}; there are {', '.join(TASKS)}")
    kind = KINDS[task]
    least, most = kind.facts
    count = int(rng.integers(least, most + 1))
    for _ in range(MOST_TRIES):
        sentences, questions = kind.story(rng, count)
        if questions:
            return [Hidden(tuple(sentences), PROMPT.format(question), (answer,)) for question, answer in questions]
    raise RuntimeError(f"no question about {count} facts of {task} in {MOST_TRIES} stories")


def score(answer: str, hidden: Hidden) -> float:
    """Whether an answer's first sentence names what was asked for, and nothing else that might have been: 1 or 0.

    Places, or persons and things, that the question itself names do not count, nor do parts of words.
    """
    (right,) = hidden.answers
    first = re.split(r"[.\n]", answer.strip(), maxsplit=1)[0]
    possible = PLACES if right in PLACES else (*PEOPLE, *THINGS)
    named = {word for word in possible if names(first, word) and not names(hidden.prompt, word)}
    return float(named == {right})


def unambiguous(claims: Iterable[tuple[str, str]]) -> Questions:
    """The questions that are always answered in the same way, each once."""
    answers: dict[str, set[str]] = {}
    for question, answer in claims:
        answers.setdefault(question, set()).add(answer)
    return [(question, answer) for question, (answer, *others) in answers.items() if not others]


def pick(items: Sequence[T], rng: np.random.Generator) -> T:
    """Any of the items; several times faster than ``rng.choice`` or ``rng.integers``."""
    return items[int(rng.random() * len(items))]


def shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    """The items in any order."""
    return [items[i] for i in rng.permutation(len(items))]
