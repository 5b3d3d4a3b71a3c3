"""Facts that change: read by a solver of the test's own, which replays each story and looks for all right answers."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infini_attention.data import facts
from infini_attention.data.facts import KINDS, PEOPLE, PLACES, TASKS, THINGS, draw, draw_all, score
from infini_attention.data.hiding import Hidden

# What each kind of sentence means, by hand rather than from the templates.
MOVE = re.compile(r" (?P<who>\w+) (?:went|walked over|strolled|hurried) to the (?P<place>\w+)\.")
TAKE = re.compile(r" (?P<who>\w+) (?:picked up|took|collected|got hold of) the (?P<thing>\w+)(?: along)?\.")
DROP = re.compile(r" (?P<who>\w+) (?:put down|dropped|let go of|left) the (?P<thing>\w+)(?: behind)?\.")
GIVE_TO = re.compile(r" (?P<giver>\w+) (?:gave|handed) the (?P<thing>\w+)(?: over)? to (?P<receiver>\w+)\.")
LET_HAVE = re.compile(r" (?P<giver>\w+) (?:passed|let) (?P<receiver>\w+)(?: have)? the (?P<thing>\w+)\.")
RELATION = re.compile(r" The (\w+) (?:is|lies to the) (\w+) of the (\w+)\.")
SIDES = {
    "north": lambda x, y: y > 0,
    "south": lambda x, y: y < 0,
    "east": lambda x, y: x > 0,
    "west": lambda x, y: x < 0,
}
BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}
STEPS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}

seeds = st.integers(0, 2**32)
tasks = st.sampled_from(TASKS)


def drawn(task: str, seed: int) -> Hidden:
    return draw(task, np.random.default_rng(seed))


def question_of(hidden: Hidden) -> str:
    match = re.fullmatch(r"\nQuestion: ([A-Z][\w ]+\?)\nAnswer:", hidden.prompt)
    assert match
    return match[1]


def replay(needles: tuple[str, ...]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Where each person and thing was after each fact, and all gifts; what could not have happened fails."""
    people: dict[str, str] = {}
    lying: dict[str, str] = {}
    carried: dict[str, str] = {}
    gifts, moments = [], []
    for needle in needles:
        if match := MOVE.fullmatch(needle):
            assert people.get(match["who"]) != match["place"]
            people[match["who"]] = match["place"]
        elif match := TAKE.fullmatch(needle):
            here = people[match["who"]]
            assert match["thing"] not in carried and lying.pop(match["thing"], here) == here
            carried[match["thing"]] = match["who"]
        elif match := DROP.fullmatch(needle):
            assert carried.pop(match["thing"]) == match["who"]
            lying[match["thing"]] = people[match["who"]]
        else:
            match = GIVE_TO.fullmatch(needle) or LET_HAVE.fullmatch(needle)
            assert match, needle
            assert carried[match["thing"]] == match["giver"] != match["receiver"]
            assert people[match["giver"]] == people[match["receiver"]]
            carried[match["thing"]] = match["receiver"]
            gifts.append(match.groupdict())
        moments.append({**people, **lying, **{thing: people[person] for thing, person in carried.items()}})
    return moments, gifts


def places_before(moments: list[dict[str, str]], thing: str, place: str) -> set[str]:
    """Where the thing was each time before it came to the place; nothing is known of before it was first seen."""
    trail = ["unknown"]
    for moment in moments:
        if thing in moment and moment[thing] != trail[-1]:
            trail.append(moment[thing])
    return {trail[i - 1] for i in range(1, len(trail)) if trail[i] == place}


def map_of(needles: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """The places on a grid; contradictions fail."""
    told = []
    for needle in needles:
        match = RELATION.fullmatch(needle)
        assert match, needle
        told.append(match.groups())
    cells = {told[0][0]: (0, 0)}
    for _ in told:
        for place, direction, other in told:
            for new, old, (right, up) in ((place, other, STEPS[direction]), (other, place, STEPS[BACK[direction]])):
                if old in cells:
                    cell = (cells[old][0] + right, cells[old][1] + up)
                    assert cells.setdefault(new, cell) == cell
    assert {place for place, _, _ in told} | {other for _, _, other in told} == set(cells)
    assert len(set(cells.values())) == len(cells)
    return cells


def right_answers(hidden: Hidden) -> set[str]:
    """All answers that the facts allow, in any reading of the question."""
    question = question_of(hidden)
    if match := re.fullmatch(r"What is (\w+) of the (\w+)\?", question):
        direction, place = match[1], match[2]
    elif match := re.fullmatch(r"What is the (\w+) (\w+) of\?", question):
        direction, place = BACK[match[2]], match[1]
    else:
        moments, gifts = replay(hidden.needles)
        if match := re.fullmatch(r"Where is (?:the )?(\w+)\?", question):
            return {moments[-1][match[1]]}
        if match := re.fullmatch(r"Where was the (\w+) before it was in the (\w+)\?", question):
            return places_before(moments, match[1], match[2])
        if match := re.fullmatch(r"Who gave (?:away )?the (\w+)(?: to (\w+))?\?", question):
            return {g["giver"] for g in gifts if g["thing"] == match[1] and match[2] in (None, g["receiver"])}
        if match := re.fullmatch(r"Who received the (\w+)\?", question):
            return {g["receiver"] for g in gifts if g["thing"] == match[1]}
        if match := re.fullmatch(r"Who did (\w+) give the (\w+) to\?", question):
            return {g["receiver"] for g in gifts if (g["giver"], g["thing"]) == match.groups()}
        match = re.fullmatch(r"What did (\w+) give to (\w+)\?", question)
        assert match, question
        return {g["thing"] for g in gifts if (g["giver"], g["receiver"]) == match.groups()}
    cells = map_of(hidden.needles)
    x, y = cells[place]
    found = {other for other, (i, j) in cells.items() if SIDES[direction](i - x, j - y)}
    # Not just somewhere on that side, but in that direction.
    assert (x + STEPS[direction][0], y + STEPS[direction][1]) in {cells[other] for other in found}
    return found


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=150)
@given(seed=seeds)
def test_the_facts_allow_the_drawn_answer_and_no_other(task: str, seed: int) -> None:
    hidden = drawn(task, seed)
    assert right_answers(hidden) == set(hidden.answers)
    least, most = KINDS[task].facts
    assert least <= len(hidden.needles) <= most


@given(tasks, seeds)
def test_a_fact_is_one_sentence_and_the_answer_one_word_that_the_question_does_not_tell(task: str, seed: int) -> None:
    hidden = drawn(task, seed)
    assert all(re.fullmatch(r" [A-Z]\w*( \w+)+\.", needle) for needle in hidden.needles)
    (answer,) = hidden.answers
    assert answer in (PEOPLE + THINGS if task == "gift" else PLACES)
    assert answer not in hidden.prompt
    assert any(answer in needle for needle in hidden.needles)


@given(tasks, seeds)
def test_the_same_seed_draws_the_same_and_another_seed_something_else(task: str, seed: int) -> None:
    assert drawn(task, seed) == drawn(task, seed) != drawn(task, seed + 1)


@pytest.mark.parametrize("task", TASKS)
def test_answers_lengths_and_questions_vary(task: str) -> None:
    rng = np.random.default_rng(0)
    draws = [draw(task, rng) for _ in range(300)]
    answers = Counter(hidden.answers[0] for hidden in draws)
    assert set(answers) == set(PEOPLE + THINGS if task == "gift" else PLACES)
    assert max(answers.values()) < 300 * (0.2 if task == "gift" else 0.25)
    least, most = KINDS[task].facts
    assert {len(hidden.needles) for hidden in draws} >= {least, (least + most) // 2, most}
    words = re.compile("|".join(PEOPLE + PLACES + THINGS))
    questions = Counter(words.sub("_", question_of(hidden)) for hidden in draws)
    kinds = {"direction": 8, "gift": 5}.get(task, 1)
    assert len(questions) == kinds and min(questions.values()) > 300 / kinds / 3


@pytest.mark.parametrize("task", ["person_place", "thing_place", "thing_place_before"])
def test_the_last_place_that_is_named_is_seldom_the_answer(task: str) -> None:
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(300):
        hidden = draw(task, rng)
        right += re.findall("|".join(PLACES), "".join(hidden.needles))[-1] == hidden.answers[0]
    assert 0 < right < 0.6 * 300


def test_a_thing_is_asked_for_where_it_was_left_as_well_as_where_it_was_carried() -> None:
    rng = np.random.default_rng(0)
    kinds: Counter[str] = Counter()
    for _ in range(300):
        hidden = draw("thing_place", rng)
        thing = question_of(hidden)[:-1].split()[-1]
        touched = [i for i, needle in enumerate(hidden.needles) if thing in needle]
        match = TAKE.fullmatch(hidden.needles[touched[-1]]) or DROP.fullmatch(hidden.needles[touched[-1]])
        assert match
        gone = any(match["who"] in needle and MOVE.fullmatch(needle) for needle in hidden.needles[touched[-1] :])
        kinds[("taken" if match.re is TAKE else "left") + (", then moved" if gone else "")] += 1
    assert len(kinds) == 4 and min(kinds.values()) > 20


def test_what_cannot_be_drawn_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="'qa6'"):
        draw("qa6", rng)
    monkeypatch.setattr(facts, "MOST_TRIES", 0)
    with pytest.raises(RuntimeError, match="of gift"):
        draw("gift", rng)


def test_every_question_about_a_story_is_another_one() -> None:
    rng = np.random.default_rng(5)
    for task in TASKS:
        asked = draw_all(task, rng)
        assert len({hidden.needles for hidden in asked}) == 1
        assert len({hidden.prompt for hidden in asked}) == len(asked)
        assert draw(task, np.random.default_rng(8)) in draw_all(task, np.random.default_rng(8))


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (" kitchen.", 1),
        (" Mary is in the Kitchen.", 1),
        ("\nThe answer is: kitchen\n\nWhere is the garden?", 1),
        (" kitchen or garden.", 0),
        (" garden. kitchen.", 0),
        (" kitchens.", 0),
        ("", 0),
    ],
)
def test_an_answer_names_what_is_asked_for_and_nothing_else(answer: str, right: int) -> None:
    assert score(answer, Hidden((), "\nQuestion: Where is Mary?\nAnswer:", ("kitchen",))) == right


def test_what_a_question_names_is_not_an_answer() -> None:
    hidden = Hidden((), "\nQuestion: What did Bill give to Fred?\nAnswer:", ("milk",))
    assert score(" Bill gave Fred the milk.", hidden) == 1
    assert score(" Bill gave Jeff the milk.", hidden) == 0
    hidden = Hidden((), "\nQuestion: What is north of the office?\nAnswer:", ("garden",))
    assert score(" The garden is north of the office.", hidden) == 1
    assert score(" The office.", hidden) == 0
