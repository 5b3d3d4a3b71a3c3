"""Chapters, sentences that stand for a text, and the check of what is said about it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents import Block
from infini_attention.summary.chapters import LEAST_WORDS, MOST, PART_WORDS, Chapter, chapters
from infini_attention.summary.levels import of_all, of_chapter
from infini_attention.summary.repeats import pick
from infini_attention.summary.sections import sections
from infini_attention.summary.summarizer import BULLETS, NOTHING, OUTLINE, ChapterSummary, summary
from infini_attention.summary.taking import take_notes
from infini_attention.text.central import centrality, ranked
from infini_attention.text.kept import KeptText
from infini_attention.text.notes import SourceNotes
from infini_attention.text.telling import is_phrase, is_whole

LONG = " ".join(["The miller went down to the river and counted the boats."] * 20)
SHORT = "A few words only."


def cut(*blocks: Block, most: int = MOST) -> list[Chapter]:
    return chapters(KeptText("book", blocks), most=most)


def test_headings_make_chapters_with_their_pages() -> None:
    found = cut(Block("One", 1, "One"), Block(LONG, 1, "One"), Block(LONG, 2, "One"), Block(LONG, 3, "Two", "iii"))
    assert [chapter.title for chapter in found] == ["One", "Two"]
    assert [str(chapter.span) for chapter in found] == ["pp. 1-2", "p. iii"]


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


@pytest.mark.parametrize(
    ("sentence", "whole"),
    [
        ("Ann saw two ships burn near Rome.", True),
        ("FOUND AMONG THE PAPERS OF A SMITH.", False),
        ("ships that Ann saw burn near Rome.", False),
        ("Ann saw two ships burn near", False),
        ("Two ships burn!", False),
        ("for (i = 0; i < n; i++) { total += row[i]; }.", False),
    ],
)
def test_whole_sentences_are_no_titles_cries_or_fragments(sentence: str, whole: bool) -> None:
    assert is_whole(sentence) is whole


def test_a_line_of_slides_is_a_phrase_and_code_is_none() -> None:
    assert is_phrase("Ships near Rome") and not is_phrase("x = f(y[0]) + 1;") and not is_phrase("Rome")


def notes(*chapters: str, name: str = "book") -> SourceNotes:
    blocks = [
        Block(text, number + 1, f"Chapter {number + 1}")
        for number, chapter in enumerate(chapters)
        for text in [chapter]
    ]
    return take_notes(KeptText(name, tuple(blocks)))


STORY = [
    "Ann Marlow saw two ships burn near Rome. " * 5 + "She ran to the harbour of Rome with water. " + FILL
    for FILL in ("The harbour was dark, and nobody else in Rome had seen the two ships. " * 8,)
] + [
    "Brand Hale sold kelp on the quay of Orrin every morning. " * 12
    + "Nobody in Orrin ate kelp on that quay but him. " * 6
]


def test_notes_are_sentences_of_their_sections_with_their_pages() -> None:
    found = notes(*STORY)
    assert [chapter.title for chapter in found.chapters] == ["Chapter 1", "Chapter 2"]
    assert [(chapter.first, chapter.last) for chapter in found.chapters] == [(0, 0), (1, 1)]
    for chapter, text in zip(found.chapters, STORY, strict=True):
        said = list(chapter.sentences)
        assert said and all(one.text in text and one.block == chapter.first for one in said)
        assert {one.page for one in said} == {chapter.first + 1}
        assert len({one.text for one in said}) == len(said)


def test_the_whole_goes_from_the_beginning_to_the_end_within_its_words() -> None:
    sources = [notes(*STORY)]
    said = [one.text for one in of_all(sources, 30)]
    assert sum(len(text.split()) for text in said) <= 30
    assert any("Rome" in text for text in said) and any("Orrin" in text for text in said)
    assert [one.block for one in of_all(sources, 30)] == sorted(one.block for one in of_all(sources, 30))
    # One sentence is given in any case, and a focus chooses.
    assert len(of_all(sources, 1)) == 1
    assert "kelp" in of_all(sources, 12, focus="Who sold kelp?")[0].text


def test_styles_and_pages_of_a_summary() -> None:
    sources = [notes(*STORY)]
    heard: list[ChapterSummary] = []
    told = summary(sources, 30, style=BULLETS, on_chapter=heard.append)
    assert tuple(heard) == told.chapters and [one.label for one in heard] == ["Chapter 1 (p. 1)", "Chapter 2 (p. 2)"]
    lines = told.shown(cite=True).splitlines()
    assert len(lines) == len(told.sentences) and all(line.startswith("- ") and "(p. " in line for line in lines)
    assert "(p. " not in told.text
    outline = summary(sources, 30, style=OUTLINE)
    assert outline.sentences == tuple(one for chapter in outline.chapters for one in chapter.sentences)
    two = summary([*sources, notes("Una wrote the letter of Orrin at night. " * 20, name="other")], 30)
    assert [one.label.split(",")[0] for one in two.chapters] == ["book", "book", "other"]


@pytest.mark.parametrize("text", ["Rome", "12 34\n\n56 78", "x = 1;\n\ny = f(x);", "???"])
def test_of_what_has_no_sentence_there_is_nothing_to_tell(text: str) -> None:
    found = take_notes(KeptText.of("odd", text))
    assert summary([found], 150).text == NOTHING
    assert of_chapter(found.chapters[0], 40) == []


def test_a_heading_says_nothing_that_a_note_could_rest_on() -> None:
    title = "The lamp of the keeper and the storm over the harbour."
    found = take_notes(KeptText("book", (Block(title, heading=title), Block(LONG, heading=title))))
    assert title not in [one.text for one in found.chapters[0].sentences]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(1, 200))
def test_sections_are_runs_of_about_the_same_size(sizes: list[int], most: int) -> None:
    found = list(sections(sizes, most))
    assert [number for section in found for number in section] == list(range(len(sizes)))
    assert all(len(section) for section in found)


def test_what_says_the_same_is_picked_once() -> None:
    texts = ["Hester Quill carried eleven sheep.", "Hester carried sheep to Orrisay.", "The mate wrote all down."]
    assert pick(texts, [1, 0, 2], 99) == [1, 2]
    assert pick(texts, [0, 2, 1], 5) == [0]
    assert pick(texts, [0, 2, 1], 1) == [0]
    assert pick(texts, [0, 2, 1], 99, most=1) == [0]
