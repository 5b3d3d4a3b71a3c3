"""Looking back: the kept text, its passages, how they are found and cited."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents import Block
from infini_attention.errors import InfiniError
from infini_attention.qa import cite as citations
from infini_attention.qa.found import Found
from infini_attention.qa.view import InView, in_view
from infini_attention.text.kept import KeptText, pack, unpack
from infini_attention.text.passages import Passage, Sentence, passages, sentences
from infini_attention.text.search import Search, best_sentence

words = st.sampled_from(["Ann", "went", "to", "the", "mill.", "Why?", "Mr.", "42", '"Yes."', "(no.)", "\n\n"])
blocks = st.builds(
    Block,
    st.lists(words, min_size=1, max_size=20).map(" ".join).filter(str.strip),
    st.none() | st.integers(1, 9),
    st.none() | st.sampled_from(["One", "Two"]),
    st.none() | st.sampled_from(["xii", "A-3"]),
)
kept = st.builds(KeptText, st.just("a.pdf"), st.lists(blocks, max_size=6).map(tuple))


def one_text(*paragraphs: str) -> list[KeptText]:
    return [KeptText("tale.pdf", tuple(Block(text, page, "One") for page, text in enumerate(paragraphs, 1)))]


@given(st.lists(kept, max_size=3))
def test_texts_come_back_as_they_were_kept(texts: list[KeptText]) -> None:
    assert unpack(pack(texts)) == texts


def test_text_kept_before_there_were_labels_is_read() -> None:
    old = b'{"version": 1, "sources": [{"name": "a.pdf", "blocks": [["A mill.", 3, "One"], ["Why?", null, null]]}]}'
    assert unpack(zlib.compress(old)) == [KeptText("a.pdf", (Block("A mill.", 3, "One"), Block("Why?")))]


def test_text_of_another_release_is_refused() -> None:
    with pytest.raises(InfiniError, match="version 9"):
        unpack(zlib.compress(b'{"version": 9}'))


@given(st.lists(kept, max_size=3), st.integers(1, 30))
def test_passages_hold_every_word_in_order_and_cross_no_heading(texts: list[KeptText], size: int) -> None:
    found = passages(texts, size)
    assert [passage.number for passage in found] == list(range(len(found)))
    for number, text in enumerate(texts):
        own = [passage for passage in found if passage.source == number]
        assert " ".join(passage.text for passage in own).split() == " ".join(b.text for b in text.blocks).split()
    for passage in found:
        assert len({sentence.heading for sentence in passage.sentences}) == 1
        before = " ".join(sentence.text for sentence in passage.sentences[:-1])
        assert len(before.split()) < size
        pages = {sentence.page for sentence in passage.sentences if sentence.page is not None}
        assert (passage.span and passage.span.pages) == ((min(pages), max(pages)) if pages else None)


def test_a_paragraph_ends_a_passage_that_is_half_full_but_a_page_break_in_a_sentence_does_not() -> None:
    found = passages(one_text("One two three.", "Four five.", "Six seven eight", "nine ten eleven.", "Twelve."), 6)
    assert [one.text for one in found] == ["One two three.", "Four five. Six seven eight nine ten eleven.", "Twelve."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('He said "Go." Then she left! Mr. J. Smith ran.', ['He said "Go."', "Then she left!", "Mr. J. Smith ran."]),
        (
            "It cost 3.5 pounds, e.g. there. Why? (Nobody knew.) 42 came.",
            ["It cost 3.5 pounds, e.g. there.", "Why?", "(Nobody knew.)", "42 came."],
        ),
        ("A heading\n\nand a\nline", ["A heading", "and a line"]),
        ("\u6771\u4eac\u3002\u65e5\u672c\uff1f", ["\u6771\u4eac\u3002", "\u65e5\u672c\uff1f"]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in sentences(Block(text, 3, "One"))] == expected


def test_rare_words_find_their_passage_in_any_form_and_by_heading() -> None:
    texts = one_text("The ferry sailed at noon.", "Ann hid the letters under a bridge.", "The clock struck noon.")
    found = passages(texts, 5)
    search = Search(found)
    assert search.find("Who was hiding a letter?", 2)[0].passage == found[1]
    assert sorted(hit.passage.number for hit in search.find("noon", 9)) == [0, 2]
    assert search.find("Where is the treasure?", 3) == [] and search.find("the of and", 3) == []
    assert Search([]).find("noon", 3) == []
    headed = KeptText("b.md", (Block("Nobody came.", None, "Burglary"), Block("All slept.", None, "Night")))
    assert Search(passages([headed])).find("Tell of the burglary", 3)[0].passage.heading == "Burglary"
    assert best_sentence(found[1], "letters").text == "Ann hid the letters under a bridge."


def found_at(page: int | None, heading: str | None, number: int = 0, source: int = 0) -> Found:
    return Found(Passage(source, number, (Sentence("A.", page, heading), Sentence("B.", page, heading))), 1.0, -2.0)


def test_a_search_is_silent_where_logging_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        found = Search(passages(one_text("A goat stood in the water.", "It rained."))).find("goat", 1)
    assert found
    assert not caplog.records


def test_a_reader_answers_from_the_best_passage_and_chooses_numbers_from_all() -> None:
    texts = ("The miller owed nine crowns.", "Marta paid forty crowns.", "It rained.")
    found = [
        Found(Passage(0, number, (Sentence(text, None, None),)), 1.0, 2.0 - number) for number, text in enumerate(texts)
    ]
    assert in_view("Who paid?", found, 1) == InView(found[:1], [])
    assert in_view("How many crowns did Marta pay?", found, 1) == InView(found, ["nine crowns", "forty crowns"])
    assert in_view("Who paid?", found, 4) == InView(found, [])
    assert in_view("Who paid?", [], 1) == InView([], [])


def test_places_are_told_as_far_as_they_are_known() -> None:
    texts = one_text("A. B.")
    assert citations.line([found_at(3, "Nine", 1), found_at(2, "Nine", 0)], texts) == "(p. 3, Nine; p. 2, Nine)"
    assert citations.line([found_at(3, None), found_at(3, None, 1)], texts) == "(p. 3)"
    assert citations.line([found_at(None, None)], texts) == "(tale.pdf)"
    two = [*texts, KeptText("other.txt", ())]
    assert citations.line([found_at(None, "Nine", 0, 1)], two) == "(other.txt, Nine)"
    spread = Passage(0, 0, (Sentence("A.", 4, None), Sentence("B.", 5, None)))
    assert citations.place(spread, texts) == "pp. 4-5"
    (record,) = citations.record([found_at(3, "Nine")], texts)
    expected = {"source": "tale.pdf", "pages": [3, 3], "labels": None, "heading": "Nine", "text": "A. B."}
    assert record == expected | {"words": 1, "evidence": -2}


def test_pages_are_cited_as_they_are_printed() -> None:
    preface = (Block("A. B.", 3, None, "iii"), Block("C. D.", 4, None, "iv"), Block("E,", 5), Block("F.", 6, None, "2"))
    texts = [KeptText("tale.pdf", preface)]
    found = [Found(passage, 1.0, -2.0) for passage in passages(texts, 2)]
    assert citations.line(found, texts) == "(p. iii; p. iv; pp. 5-6)"
    records = citations.record(found, texts)
    assert [record["pages"] for record in records] == [[3, 3], [4, 4], [5, 6]]
    assert [record["labels"] for record in records] == [["iii", "iii"], ["iv", "iv"], None]
    across = Found(passages(texts, 7)[0], 1.0, -2.0)
    assert citations.line([across], texts) == "(pp. iii-iv)"


def test_an_answer_cites_the_passages_that_it_rests_on() -> None:
    texts = one_text("The ferry sailed at noon.", "Ann hid the letters under a bridge.", "The clock struck noon twice.")
    found = [Found(one, 1.0, 0.0) for one in passages(texts, 5)]
    assert citations.resting(found, "Where are the letters?", "Under a bridge.") == (found[1],)
    assert citations.resting(found, "When?", "At noon.") == (found[0], found[2])
    # No passage has the answer's words: the one that is nearest to the question is named.
    assert citations.resting(found, "Who hid the letters?", "The miller's wife.") == (found[1],)
    assert citations.resting([], "Who?", "Ann.") == ()
