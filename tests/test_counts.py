"""Which numbers of a text may answer a question."""

from __future__ import annotations

import pytest
from infini_attention.qa.counts import numbers_for

TEXT = (
    "The Hag was six hundred and eleven feet high. In 1871 Mr. A. bound sixty-four leaves,\n"
    "3.5% of them for $1,200. One goat stood in nine fathoms of water; a dozen eggs, and a hundred and four hymns. "
    "The seventies were bad, and no one came."
)


@pytest.mark.parametrize(
    ("question", "numbers"),
    [
        ("How many leaves did the book have?", ["sixty-four leaves"]),
        ("Into how many fathoms did it go?", ["nine fathoms"]),
        ("How many hymns were there?", ["a hundred and four hymns"]),
        ("How many eggs were there?", ["a dozen eggs"]),
        ("How many goats were there?", ["One goat"]),
        ("In what year was it bound?", ["1871"]),
        ("Which year was that?", ["1871"]),
    ],
)
def test_those_of_what_is_counted_or_years(question: str, numbers: list[str]) -> None:
    assert numbers_for(question, TEXT) == numbers


def test_all_where_nothing_counted_is_found() -> None:
    found = [
        *("six hundred and eleven", "six hundred and eleven feet", "six hundred and eleven feet high"),
        *("1871", "sixty-four", "sixty-four leaves", "3.5%", "$1,200", "nine", "nine fathoms"),
        *("a dozen", "a dozen eggs", "a hundred and four", "a hundred and four hymns"),
    ]
    for question in ("How many cats were there?", "How high was it?", "What was its whole price?"):
        assert numbers_for(question, TEXT) == found
    # What the question tells is not asked for.
    assert numbers_for("How much was paid in 1871 for sixty-four leaves?", TEXT) == [
        number for number in found if "1871" not in number and "sixty-four" not in number
    ]


@pytest.mark.parametrize(
    "question",
    [
        *("Who bound the book?", "What happened in 1871?", "How did it end?", "Combien de pages ?", ""),
        *("What did he do every year?", "What happened, however much he ate?", "How many times did it rain?"),
        "What became of the man who asked for the price?",
    ],
)
def test_other_questions_ask_for_no_number(question: str) -> None:
    assert numbers_for(question, TEXT) == []


def test_without_numbers_there_is_nothing_to_choose_from() -> None:
    assert numbers_for("How many leaves did it have?", "It had some leaves, and no one counted them.") == []
