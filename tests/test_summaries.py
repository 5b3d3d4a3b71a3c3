"""Chapters, sentences that stand for a text, and the check of what is said about it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents import Block
from infini_attention.summary.chapters import LEAST_WORDS, MOST, PART_WORDS, Chapter, chapters
from infini_attention.summary.check import NEAR, Support
from infini_attention.summary.notes import Note, is_whole, parts
from infini_attention.summary.whole import summary
from infini_attention.text.central import centrality, chosen, ranked
from infini_attention.text.kept import KeptText

LONG = " ".join(["The miller went down to the river and counted the boats."] * 20)
SHORT = "A few words only."


def cut(*blocks: Block, most: int = MOST) -> list[Chapter]:
    return chapters(0, KeptText("book", blocks), most=most)


def test_headings_make_chapters_with_their_pages() -> None:
    found = cut(Block("One", 1, "One"), Block(LONG, 1, "One"), Block(LONG, 2, "One"), Block(LONG, 3, "Two", "iii"))
    assert [chapter.title for chapter in found] == ["One", "Two"]
    assert [chapter.label(n, 2) for n, chapter in enumerate(found)] == ["One (pp. 1-2)", "Two (p. iii)"]
    assert found[0].end == 3 + 2 + 2 * (len(LONG) + 2)
    # The heading itself says nothing that a note could rest on.
    assert all(sentence.text != "One" for sentence in found[0].sentences)


@pytest.mark.parametrize("title", ["CHAPTER IV", "Chapter 12. The Storm", "Part two", "Epilogue", "ACT III", "Canto V"])
def test_lines_that_look_like_headings_make_chapters(title: str) -> None:
    found = cut(Block("CHAPTER I"), Block(LONG), Block(title), Block(LONG))
    assert [chapter.title for chapter in found] == ["CHAPTER I", title]


def test_numerals_that_count_make_chapters() -> None:
    found = cut(Block("I."), Block(LONG), Block("II."), Block("The Ford"), Block(LONG))
    assert [chapter.title for chapter in found] == ["I.", "II. The Ford"]


@pytest.mark.parametrize(
    "line", ["Chapter one of my life ended there, and I was glad of it.", "I.", "XIV.", "mix", "Part of it"]
)
def test_sentences_that_begin_like_headings_do_not(line: str) -> None:
    found = cut(Block("CHAPTER I"), Block(LONG), Block(line), Block(SHORT), Block("CHAPTER II"), Block(LONG))
    assert [chapter.title for chapter in found] == ["CHAPTER I", "CHAPTER II"]


def test_small_parts_go_to_their_neighbours() -> None:
    found = cut(
        Block("A Tale", heading="A Tale"),
        Block(SHORT, heading="By Whom"),
        Block(LONG, heading="One"),
        Block(SHORT, heading="Notes"),
    )
    assert [(chapter.title, len(chapter.blocks)) for chapter in found] == [("One", 4)]


def test_a_text_without_headings_is_cut_evenly() -> None:
    blocks = [Block(LONG) for _ in range(40)]
    found = cut(*blocks)
    words = 40 * len(LONG.split())
    assert len(found) == round(words / PART_WORDS) > 1
    assert max(chapter.words for chapter in found) <= 2 * min(chapter.words for chapter in found)
    assert found[0].label(0, len(found)) == f"Part 1 of {len(found)}"


TITLES = st.one_of(st.none(), st.sampled_from(["One", "Two", "Three", "Four"]))
BLOCKS = st.lists(
    st.builds(Block, st.sampled_from([LONG, SHORT, "CHAPTER V"]), st.none(), TITLES), min_size=1, max_size=30
)


@given(BLOCKS, st.integers(1, 6))
def test_chapters_are_the_whole_text_in_order(blocks: list[Block], most: int) -> None:
    found = cut(*blocks, most=most)
    assert [block for chapter in found for block in chapter.blocks] == blocks
    assert 1 <= len(found) <= most
    assert all(chapter.words >= LEAST_WORDS for chapter in found) or len(found) == 1
    ends = [sum(len(block.text) + 2 for part in found[: n + 1] for block in part.blocks) for n in range(len(found))]
    assert [chapter.end for chapter in found] == ends
    assert [chapter.is_first for chapter in found] == [n == 0 for n in range(len(found))]


SENTENCES = [
    "The lighthouse keeper watched the storm come over the harbour.",
    "A gull cried.",
    "In the storm the keeper of the lighthouse lit the lamp for the harbour.",
    "Somebody had painted the door green in another year altogether.",
]


def test_the_sentence_that_shares_most_stands_for_a_text() -> None:
    order = ranked(SENTENCES)
    assert set(order[:2]) == {0, 2} and order[-1] == 1
    assert ranked(SENTENCES, focus="Who painted the door?")[0] == 3
    assert ranked(["?", "!"]) == [0, 1]


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=8))
def test_centrality_is_the_walk_over_the_matrix_of_similarities(words: list[list[str]]) -> None:
    every = sorted({word for own in words for word in own})
    having = {word: sum(word in own for own in words) for word in every}
    rows = np.zeros((len(words), len(every)))
    for row, own in zip(rows, words, strict=True):
        for column, word in enumerate(every):
            if own:
                most = max(map(own.count, own))
                row[column] = own.count(word) / most * math.log(len(words) / having[word])
        row /= np.linalg.norm(row) or 1
    similar = rows @ rows.T
    step = np.zeros_like(similar)
    for number, row in enumerate(similar):
        if row.sum() > 0:
            step[:, number] = row / row.sum()
    walk = np.ones(len(words))
    for _ in range(50):
        walk = 0.15 + 0.85 * step @ walk
    np.testing.assert_allclose(centrality(words), walk, rtol=1e-6)


def test_of_equals_the_first_stands_for_a_text() -> None:
    assert ranked(["Ann saw two ships burn near Rome.", "Ann saw two ships burn near Rome."] * 3) == [0, 1, 2, 3, 4, 5]


def test_chosen_sentences_fit_and_keep_their_order() -> None:
    sizes = [len(sentence) for sentence in SENTENCES]
    assert chosen(ranked(SENTENCES), sizes, sum(sizes)) == [0, 1, 2, 3]
    assert chosen(ranked(SENTENCES), sizes, sizes[0] + sizes[2]) == [0, 2]
    assert chosen(ranked(SENTENCES), sizes, 3) == []


TEXT = "On the ninth of October 1923 Hester Quill carried eleven sheep to Orrisay. The captain's mate wrote everything down. "
TEXT += "Everybody paid seven shillings, and the four sheep seven hundred and four shillings."


@pytest.mark.parametrize(
    ("sentence", "held"),
    [
        ("Hester Quill carried sheep to Orrisay in 1923.", True),
        ("The captain's mate writes everything down.", True),
        ("Hester Quill carried sheep to Orrisay in 1924.", False),
        ("Hester Quill carried twelve sheep to Orrisay.", False),
        ("Hester Brown carried sheep to Orrisay.", False),
        ("Everybody paid seven hundred and four shillings.", True),
        ("Everybody paid four hundred and seven shillings.", False),
        ("Everybody paid seven shillings, and four sheep.", True),
        ("The article discusses a social media trend.", False),
        ("It is what it was.", False),
        ("", False),
    ],
)
def test_names_numbers_and_most_words_have_to_occur(sentence: str, held: bool) -> None:
    assert Support([TEXT]).holds(sentence) is held


@pytest.mark.parametrize(
    ("sentence", "tells"),
    [
        ("Hester Quill carried eleven sheep.", True),
        ("Hester carried sheep to Orrisay, and the captain counted the sheep.", True),
        ("The sheep carried the sheep and the sheep carried the sheep.", False),
        ("The horse is a steed, and the man is a man.", False),
        ("The smith of the town is the one smith in the town that the town knows.", False),
        ("Hester Quill is not there.", False),
        ("", False),
    ],
)
def test_a_sentence_tells_something_and_does_not_go_in_circles(sentence: str, tells: bool) -> None:
    assert Support([TEXT]).tells(sentence) is tells


def test_every_sentence_of_a_text_is_borne_out_by_it() -> None:
    support = Support(SENTENCES)
    assert all(support.holds(sentence) for sentence in SENTENCES)


FAR = ["Hester Quill came to Orrisay.", *[f"On day {day} nobody spoke of it." for day in range(NEAR)]]
FAR += ["Nine sheep were sold to the smith.", "Martha drowned."]


def test_what_stands_far_apart_does_not_bear_a_sentence_out() -> None:
    support = Support(FAR)
    assert support.place("Hester came to Orrisay.") == 0
    assert support.place("The smith sold nine sheep, and Martha drowned.") == len(FAR) - NEAR
    # Every word, name and number of these is in the text.
    assert support.place("Hester Quill sold sheep to the smith.") is None
    assert support.place("Hester sold nine sheep.") is None
    assert support.place("Quill drowned.") is None


@given(
    st.lists(
        st.lists(st.sampled_from(["Ann", "saw", "two", "ships", "burn", "near", "Rome", "in", "1066"]), min_size=1),
        min_size=1,
    )
)
def test_places_are_those_that_a_search_of_all_would_find(own: list[list[str]]) -> None:
    text = [" ".join(words) for words in own]
    starts = range(max(1, len(text) - NEAR + 1))
    for sentence in ("Ann saw two ships burn.", "Near Rome ships saw Ann.", "In 1066 two burn near ships."):
        told = Support(text).meaning(sentence)
        near = [Support([" ".join(text[start : start + NEAR])]) for start in starts]
        shared = [
            len(told & one.meaning(" ".join(text[start : start + NEAR]))) if one.holds(sentence) else 0
            for start, one in zip(starts, near, strict=True)
        ]
        expected = shared.index(max(shared)) if any(shared) else None
        assert Support(text).place(sentence) == expected


class Silent:
    """A writer that finds nothing to say."""

    focus = adapter = None

    def shown(self, own: list[str], order: list[int]) -> list[str]:
        return own

    def write(self, *what: object) -> list[str]:
        return []


def test_every_chapter_has_a_sentence_in_the_whole_as_far_as_there_is_room() -> None:
    told = [
        ["Ann saw two ships near Rome.", "Old Marten burned the harbour down."],
        ["Brand sold kelp on the quay.", "Nobody else ever asked for kelp there."],
        ["Una wrote the letter at night.", "Rain fell until the morning came."],
    ]
    notes = [Note(Chapter(0, None, (Block(" ".join(sentences)),), 9), tuple(sentences)) for sentences in told]
    whole = summary(Silent(), None, notes, 21)  # type: ignore[arg-type]
    assert [sum(sentence in sentences for sentence in whole) for sentences in told] == [1, 1, 1]
    assert whole == sorted(whole, key=lambda sentence: [sentence in sentences for sentences in told].index(True))
    everything = summary(Silent(), None, notes, 99)  # type: ignore[arg-type]
    assert everything == [sentence for sentences in told for sentence in sentences]


class Trained(Silent):
    """A writer whose notes are told in its own words."""

    adapter = object()  # type: ignore[assignment]


def test_what_trained_notes_leave_room_for_is_filled_with_the_text() -> None:
    chapters = [
        "Ann saw two ships near Rome. The ships near Rome burned the harbour. She wept. Ann and the ships left the harbour of Rome.",
        "Brand sold kelp on the quay. Nobody else ever asked for kelp on that quay. Kelp and quay were dear to Brand alone.",
    ]
    told = ["Ann is a sailor of Rome.", "Brand is a merchant of kelp."]
    notes = [
        Note(Chapter(0, None, (Block(text),), 9), (sentence,)) for text, sentence in zip(chapters, told, strict=True)
    ]
    assert summary(Trained(), None, notes, 12) == told  # type: ignore[arg-type]
    whole = summary(Trained(), None, notes, 30)  # type: ignore[arg-type]
    assert 24 < sum(len(sentence.split()) for sentence in whole) <= 30
    assert whole[0] == told[0] and whole[1] in chapters[0] and whole[2] == told[1] and whole[3] in chapters[1]
    # No sentence leans on one that is not there, and none is said again.
    everything = summary(Trained(), None, notes, 999)  # type: ignore[arg-type]
    assert "She wept." not in everything and everything == whole
    assert len(summary(Trained(), None, notes[:1], 999)) > 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sentence", "whole"),
    [
        ("Ann saw two ships burn near Rome.", True),
        ("FOUND AMONG THE PAPERS OF A SMITH.", False),
        ("ships that Ann saw burn near Rome.", False),
        ("Ann saw two ships burn near", False),
        ("Two ships burn!", False),
    ],
)
def test_whole_sentences_are_no_titles_cries_or_fragments(sentence: str, whole: bool) -> None:
    assert is_whole(sentence) is whole


def test_a_sentence_that_leans_on_another_goes_with_it() -> None:
    told = [
        ["Ann saw two ships near Rome.", "She burned the harbour of the ships down.", "There she wept in Rome a week."],
        ["Brand sold kelp on the quay of Rome."],
    ]
    notes = [Note(Chapter(0, None, (Block(" ".join(sentences)),), 9), tuple(sentences)) for sentences in told]
    assert summary(Silent(), None, notes, 21) == [" ".join(told[0])]  # type: ignore[arg-type]
    assert summary(Silent(), None, notes, 20) == told[1]  # type: ignore[arg-type]
    assert summary(Silent(), None, notes, 6) == [" ".join(told[0])]  # type: ignore[arg-type]


def test_what_is_told_in_other_words_may_stand_anywhere_in_view() -> None:
    support = Support.of_view(FAR)
    assert support.holds("Hester Quill came, and the smith was sold nine sheep in the end.")
    assert not support.holds("Hester Quill came, and the smith bought ten sheep.")
    assert not support.holds("Hester Brown came to the smith.")
    assert not support.holds("Hester went away, and her daughter mourned beside the cold window.")


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 5))
def test_parts_are_runs_of_about_the_same_size(sizes: list[int], count: int) -> None:
    own = [str(number) for number in range(len(sizes))]
    found = [[int(number) for number in part] for part in parts(own, sizes, count)]
    assert [number for part in found for number in part] == list(range(len(sizes)))
    assert all(found) and len(found) <= count
    for number, part in enumerate(found[:-1], 1):
        end = part[-1]
        assert sum(sizes[: end + 1]) * count >= sum(sizes) * number
        assert len(part) == 1 or sum(sizes[:end]) * count < sum(sizes) * number


def test_what_was_said_is_not_said_again() -> None:
    support = Support([TEXT])
    before = ["Hester Quill carried eleven sheep to Orrisay."]
    assert support.said("Hester carried sheep to Orrisay.", before)
    assert not support.said("The captain's mate wrote everything down.", before)
    assert not support.said("Hester Quill carried eleven sheep to Orrisay.", [])
