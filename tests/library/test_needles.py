"""Needle tests: what is asked for can be known from the needles alone, and the score counts just that."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.data.hiding import Hidden
from infini_attention.data.needles import (
    EFFECTIVE,
    KEYED,
    KINDS,
    draw,
    draw_all,
    effective_length,
    score,
)
from infini_attention.data.words import ADJECTIVES, KEYS, NOUNS, draw_keys

WORDS, NUMBER, UUID = r"[a-z]+-[a-z]+", r"[1-9]\d{6}", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Kind to the forms of its keys and values, and how many keys, values of each, and keys asked for.
RECORDS = {
    "filler_number": (WORDS, NUMBER, 1, 1, 1),
    "number": (WORDS, NUMBER, 1, 1, 1),
    "uuid": (WORDS, UUID, 1, 1, 1),
    "number_of_four": (WORDS, NUMBER, 4, 1, 1),
    "number_of_many": (WORDS, NUMBER, 4, 1, 1),
    "uuid_of_many": (UUID, UUID, 4, 1, 1),
    "four_values": (WORDS, NUMBER, 1, 4, 1),
    "four_keys": (WORDS, NUMBER, 4, 1, 4),
}
MULTIKEY = ["number_of_four", "number_of_many", "uuid_of_many"]
kinds, seeds = st.sampled_from(KINDS), st.integers(0, 9999)


def drawn(kind: str, seed: int) -> Hidden:
    return draw(kind, np.random.default_rng(seed))


def records(hidden: Hidden, key: str, value: str) -> list[tuple[str, str]]:
    """Keys and values as the needles say them, in the order of reading."""
    pairs = []
    for needle in hidden.needles:
        match = re.fullmatch(rf" [^.]* ({key}) is ({value})\.", needle)
        assert match, needle
        pairs.append((match[1], match[2]))
    return pairs


def resolve(needles: tuple[str, ...], value: str) -> set[str]:
    """The variables that have a value, found by following each one to where its value comes from."""
    sources = {}
    for needle in needles:
        match = re.fullmatch(r" Variable ([A-Z]{5}) is set to (?:variable ([A-Z]{5})|(\d{5}))\.", needle)
        assert match and match[1] not in sources
        # What is set to a variable has its value only if that one was set before.
        assert match[2] is None or match[2] in sources
        sources[match[1]] = match[2] or match[3]

    def follow(name: str) -> str:
        return follow(sources[name]) if name in sources else name

    return {name for name in sources if follow(name) == value}


@given(kinds, seeds)
def test_answers_stand_in_the_needles_and_not_in_the_prompt(kind: str, seed: int) -> None:
    hidden = drawn(kind, seed)
    assert hidden.answers and len(set(hidden.answers)) == len(hidden.answers)
    assert score("".join(hidden.needles), hidden) == 1
    assert score(hidden.prompt, hidden) == 0
    for needle in hidden.needles:
        assert needle.startswith(" ") and needle == " " + needle.strip() and needle.endswith(".")
    assert hidden.prompt.startswith(" ") and hidden.prompt == " " + hidden.prompt.strip()
    # The end of a question, and the beginning of an answer that goes on.
    assert re.fullmatch(r"[^?]+\?[^?.]+ (is|are)", hidden.prompt)


@given(st.sampled_from(sorted(RECORDS)), seeds)
def test_the_values_of_the_keys_asked_for_are_the_answers(kind: str, seed: int) -> None:
    hidden = drawn(kind, seed)
    key, value, keys, values, asked = RECORDS[kind]
    pairs = records(hidden, key, value)
    assert len(pairs) == keys * values
    assert len({name for name, _ in pairs}) == keys
    # Values differ from one another, and from keys of the same form.
    assert len({name for name, _ in pairs} | {told for _, told in pairs}) == keys + keys * values
    question, beginning = hidden.prompt.split("?")
    names = re.findall(key, question)
    assert len(names) == asked and re.findall(key, beginning) == names
    assert hidden.answers == tuple(told for name in names for other, told in pairs if other == name)


@given(st.sampled_from(MULTIKEY), st.integers(0, 40), seeds)
def test_distractors_are_as_many_as_asked_for(kind: str, distractors: int, seed: int) -> None:
    hidden = draw(kind, np.random.default_rng(seed), distractors)
    key, value, *_ = RECORDS[kind]
    pairs = dict(records(hidden, key, value))
    assert len(hidden.needles) == len(pairs) == len(set(pairs.values())) == 1 + distractors
    (asked,) = set(re.findall(key, hidden.prompt))
    assert hidden.answers == (pairs[asked],)


@pytest.mark.parametrize("kind", MULTIKEY)
def test_what_is_asked_for_stands_anywhere_among_distractors(kind: str) -> None:
    places = []
    for seed in range(200):
        hidden = drawn(kind, seed)
        places += [place for place, needle in enumerate(hidden.needles) if hidden.answers[0] in needle]
    assert len(places) == 200 and all(30 < places.count(place) < 70 for place in range(4))


def test_keys_are_asked_for_in_another_order_than_they_are_read_in() -> None:
    orders = set()
    for seed in range(300):
        hidden = drawn("four_keys", seed)
        text = "".join(hidden.needles)
        orders.add(tuple(sorted(range(4), key=lambda place: text.index(hidden.answers[place]))))
    assert len(orders) == 24


@given(seeds)
def test_variables_are_those_that_a_resolver_finds(seed: int) -> None:
    hidden = drawn("variables", seed)
    (value,) = set(re.findall(r"\b\d{5}\b", hidden.prompt))
    assert len(hidden.answers) == 5 and resolve(hidden.needles, value) == set(hidden.answers)
    # In the order of the chain, each set from the one before.
    for before, needle in zip((value, *hidden.answers), hidden.needles, strict=False):
        assert needle.endswith(f" {before}.")


@given(kinds, seeds)
def test_the_same_seed_draws_the_same(kind: str, seed: int) -> None:
    assert drawn(kind, seed) == drawn(kind, seed) != drawn(kind, seed + 1)
    rng = np.random.default_rng(seed)
    assert draw(kind, rng) != draw(kind, rng)


def test_unknown_kinds_and_more_distractors_than_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="'single_4'"):
        drawn("single_4", 0)
    rng = np.random.default_rng(0)
    assert len(draw("number_of_many", rng, KEYS - 1).needles) == KEYS
    with pytest.raises(ValueError, match=str(KEYS)):
        draw("number_of_many", rng, KEYS)
    with pytest.raises(ValueError, match="-1"):
        draw("number_of_many", rng, -1)


@given(seeds, st.integers(0, 9), st.sampled_from(KEYED))
def test_every_key_of_a_form_can_be_asked_for(seed: int, distractors: int, kind: str) -> None:
    asked = draw_all(kind, np.random.default_rng(seed), distractors)
    assert len({one.prompt for one in asked}) == len({one.answers for one in asked}) == 1 + distractors
    for one in asked:
        assert one.needles == asked[0].needles
        (key,) = (needle for needle in one.needles if one.answers[0] in needle)
        assert key.split(" is ")[0].removeprefix(" A ") in one.prompt
    assert draw(kind, np.random.default_rng(seed), distractors) in asked


def test_no_key_is_a_part_of_another() -> None:
    assert len(set(ADJECTIVES)) * len(set(NOUNS)) == KEYS >= 15_000
    assert all(re.fullmatch("[a-z]+", word) for word in (*ADJECTIVES, *NOUNS))
    assert not any(one != other and other.endswith(one) for one in ADJECTIVES for other in ADJECTIVES)
    assert not any(one != other and other.startswith(one) for one in NOUNS for other in NOUNS)
    assert len(set(draw_keys(np.random.default_rng(0), KEYS))) == KEYS


@given(kinds, seeds, st.data())
def test_the_score_is_the_share_of_answers_said(kind: str, seed: int, data: st.DataObject) -> None:
    hidden = drawn(kind, seed)
    said = data.draw(st.lists(st.sampled_from(hidden.answers), max_size=6))
    between = data.draw(st.sampled_from([", ", " and ", "\n", ". ", ",", ";", '" "', ") ("]))
    text = between.join(said)
    for written in (text, text.upper(), text.lower()):
        assert score(written, hidden) == len(set(said)) / len(hidden.answers)
    # Longer words and numbers that only hold the answers are others.
    for more in "07aZ_":
        assert score(between.join(part + more for part in said), hidden) == 0
        assert score(between.join(more + part for part in said), hidden) == 0


@pytest.mark.parametrize(
    ("answer", "said", "share"),
    [
        ("1234567", " 1234567.", 1),
        ("1234567", " 12345678", 0),
        ("123", "1234567", 0),
        ("apple", "An APPLE, I think", 1),
        ("apple", "pineapple", 0),
        ("3.5", "325", 0),
        ("3.5", "(3.5)", 1),
        ("(b)", "it is (B).", 1),
        ("red", "", 0),
    ],
)
def test_only_whole_answers_count(answer: str, said: str, share: float) -> None:
    assert score(said, Hidden((), "", (answer,))) == share


@pytest.mark.parametrize(
    ("scores", "longest"),
    [
        ({4096: 1.0, 8192: EFFECTIVE, 16384: 0.855}, 8192),
        ({16384: 0.5, 4096: 0.9, 8192: 0.9}, 8192),
        ({4096: 0.9, 8192: 0.9}, 8192),
        ({4096: 0.9, 8192: 0.5, 16384: 1.0}, 4096),
        ({4096: 0.5, 8192: 1.0}, None),
        ({4096: float("nan")}, None),
        ({}, None),
    ],
)
def test_a_length_is_effective_if_no_shorter_one_fails(scores: dict[int, float], longest: int | None) -> None:
    assert effective_length(scores) == longest
