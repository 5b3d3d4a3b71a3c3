from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents import clean
from infini_attention.documents.clean import CleanReport, told
from infini_attention.documents.letters import normalise

WORDS = st.text(alphabet="abcdefgäßxyzABC019.,!-•", min_size=1, max_size=9)
LINES = st.lists(WORDS, max_size=9).map(" ".join)
PAGES = st.lists(st.lists(LINES, max_size=12).map("\n".join), max_size=8)


def clean_pages(pages: list[tuple[int, str]], **options: Any) -> tuple[list[list[str]], CleanReport]:
    cleaned = clean.clean_pages(pages, **options)
    return cleaned.paragraphs, cleaned.report


def letters(texts: list[str]) -> Counter[str]:
    return Counter(c for text in texts for c in text if c.isalnum())


def body(page: int) -> list[str]:
    word = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"][page - 1]
    return [
        f"It was on the {word} day of the flood that the miller saw the boat",
        f"come down the river without a light, and he called {word} times to",
        "those who were in it.",
        f"Nobody answered before {word} had struck from the tower of the town.",
    ]


@given(PAGES)
def test_every_letter_is_kept_or_reported(texts: list[str]) -> None:
    paragraphs, report = clean_pages(list(enumerate(texts, 1)))
    kept = [text for page in paragraphs for text in page]
    assert letters(kept) + letters([*report.running_lines, *report.page_numbers, *report.footnote_marks]) == letters(
        texts
    )


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_characters_are_survived(texts: list[str]) -> None:
    paragraphs, report = clean_pages(list(enumerate(texts, 1)))
    assert len(paragraphs) == len(texts)
    assert all(text and text == text.strip() for page in paragraphs for text in page)
    assert report.characters_removed >= 0
    "".join(text for page in paragraphs for text in page).encode("utf-8")


@given(PAGES)
def test_order_of_words_stays(texts: list[str]) -> None:
    paragraphs, report = clean_pages(list(enumerate(texts, 1)))
    if report.lines_removed or report.footnote_marks:
        return
    for text, cleaned in zip(texts, paragraphs, strict=True):
        assert [c for c in text if c.isalnum()] == [c for c in "".join(cleaned) if c.isalnum()]


def test_running_heads_and_page_numbers_go_and_are_reported() -> None:
    pages = [(n, "\n".join(["The Miller of Dorn", *body(n), str(n + 4)])) for n in range(1, 7)]
    paragraphs, report = clean_pages(pages)
    title, *text = [text for page in paragraphs for text in page]
    assert title == "The Miller of Dorn"
    assert "Dorn" not in " ".join(text)
    assert report.running_lines == ("The Miller of Dorn",) * 5
    assert report.page_numbers == tuple(str(n + 4) for n in range(1, 7))
    assert report.lines_removed == 11


def test_a_head_with_the_page_number_in_it_goes() -> None:
    pages = [(n, "\n".join([f"{n + 10} The Miller of Dorn", *body(n)])) for n in range(1, 7)]
    paragraphs, report = clean_pages(pages)
    assert len(report.running_lines) == 6
    assert paragraphs[0][0].startswith("It was on the one day")


def test_numbered_headings_at_the_top_of_pages_stay() -> None:
    pages = [(n, "\n".join([f"Chapter {n}", *body(n)])) for n in range(1, 7)]
    diary = [(n, "\n".join([f"Day {n * n} of the flood", *body(n)])) for n in range(1, 7)]
    for given_pages in (pages, diary):
        assert clean_pages(given_pages)[1].lines_removed == 0


def test_a_line_on_fewer_than_half_of_the_pages_stays() -> None:
    pages = [(n, "\n".join(["Refrain of the song"] * (n <= 3) + body(n))) for n in range(1, 8)]
    assert clean_pages(pages)[1].lines_removed == 0


def test_a_year_in_the_last_line_stays() -> None:
    paragraphs, report = clean_pages([(1, "\n".join([*body(1), "1871"])), (2, "\n".join([*body(2), "1902"]))])
    assert report.page_numbers == ()
    assert paragraphs[0][-1].endswith("1871")


def test_pages_with_one_line_each_are_kept() -> None:
    paragraphs, report = clean_pages([(n, "Slide of the talk") for n in range(1, 9)])
    assert paragraphs == [["Slide of the talk"]] * 8
    assert report.lines_removed == 0


def test_a_scanned_page_with_a_head_is_empty() -> None:
    pages = [(n, "\n".join(["The Miller of Dorn", *(body(n) if n != 3 else []), str(n)])) for n in range(1, 7)]
    assert clean_pages(pages)[0][2] == []


def test_hyphens_at_line_ends() -> None:
    text = (
        "The river was high, and the mil-\nler was a self-aware man; a self-\n"
        "aware man is rare in the Anglo-\nSaxon towns of that country there."
    )
    paragraphs, report = clean_pages([(1, text)])
    joined = (
        "The river was high, and the miller was a self-aware man; a self-aware man is rare in the Anglo-"
        "Saxon towns of that country there."
    )
    assert paragraphs == [[joined]]
    assert report.hyphens_joined == 1


def test_paragraphs_lists_and_headings_are_kept_apart() -> None:
    text = "\n".join(["The Ford", *body(1), "• a lamp for the boat", "• a rope for the lamp", "", "The end came."])
    paragraphs, _ = clean_pages([(1, text)])
    assert [text.split()[0] + " " + text.split()[1] for text in paragraphs[0]] == [
        "The Ford",
        "It was",
        "Nobody answered",
        "• a",
        "• a",
        "The end",
    ]


def test_ideographs_are_joined_without_a_space() -> None:
    line = "河水漲得很高磨坊主人看見一條船從上游漂下來沒有燈也沒有人回答他"
    assert clean_pages([(1, f"{line}\n{line}")])[0] == [[line + line]]


def test_ligatures_and_white_space() -> None:
    assert normalise("of\ufb01ce\u00a0 of\tthe \ufb02ood\r\nnew\u200bline\x07") == (
        "office of\tthe flood\nnewline",
        2,
    )
    assert normalise("mil\u00ad\nler so\u00adft") == ("mil-\nler soft", 1)


def test_the_title_of_a_chapter_that_goes_on_is_a_running_head() -> None:
    pages = [(n, "\n".join(["The Ford" if n % 2 else "2 the ford", *body(n)])) for n in (1, 2, 3)]
    paragraphs, report = clean_pages(pages, chapters={2: "The Ford", 3: "The Ford"})
    assert report.running_lines == ("2 the ford", "The Ford")
    assert paragraphs[0][0] == "The Ford"


def test_a_page_number_that_the_file_gives_goes_whatever_it_looks_like() -> None:
    pages = [(n, "\n".join([*body(n), label])) for n, label in ((1, "i"), (2, "II"), (3, "A-1"), (4, "v"))]
    paragraphs, report = clean_pages([*pages, (5, "vi")], labels={1: "i", 2: "ii", 3: "A-1", 4: "iv", 5: "vi"})
    assert report.page_numbers == ("i", "II", "A-1")
    assert paragraphs[3][-1].endswith("v") and paragraphs[4] == ["vi"]


def test_every_step_counts_what_it_did() -> None:
    rest = "ler himself.1 So the\u200b boats stayed out.\n1 See the log of"
    names = {2: "Ann", 3: "Ben", 4: "Cat", 5: "Dan"}
    pages = [
        (
            n,
            f"The Miller of Dorn\nThe of\ufb01ce of {who} was shut, and nobody knew why but the mil-\n{rest} {who}.\n{n}",
        )
        for n, who in names.items()
    ]
    paragraphs, report = clean_pages(pages)
    counts = report.counts()
    assert paragraphs[0] == [
        "The office of Ann was shut, and nobody knew why but the miller himself. So the boats stayed out.",
        "1 See the log of Ann.",
    ]
    expected = {"running_heads": 4, "page_numbers": 4, "hyphens_joined": 4, "ligatures": 4, "footnote_marks": 4}
    assert counts == expected | {"characters_removed": 4}
    line = "4 running heads, 4 page numbers, 4 hyphens joined, 4 ligatures, 4 footnote marks, 4 invisible characters"
    assert told(counts) == f"clean-up: {line}"
    assert told({"hyphens_joined": 1034, "ligatures": 1}) == "clean-up: 1,034 hyphens joined, 1 ligature"
    assert told(CleanReport().counts()) == "clean-up: nothing to do"
