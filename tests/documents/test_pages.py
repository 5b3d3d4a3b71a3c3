from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents import PageSelection, format_pages
from infini_attention.errors import UsageFailure


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("1-3,5,8-", (1, 2, 3, 5, 8, 9, 10)),
        ("10", (10,)),
        ("-2", (1, 2)),
        (" 2 - 3 , 3", (2, 3)),
        ("9-400", (9, 10)),
        ("2\u20134", (2, 3, 4)),
    ],
)
def test_selection_of_ten_pages(text: str, pages: tuple[int, ...]) -> None:
    assert PageSelection.parse(text).resolve(10) == pages


@pytest.mark.parametrize("text", ["", "a", "1,,2", "-", "0", "0-3", "-0", "5-2", "1-2-3", "1;2", "²", "1" * 5000])
def test_nonsense_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageFailure) as caught:
        PageSelection.parse(text)
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_selection_outside_the_document_is_a_usage_error() -> None:
    with pytest.raises(UsageFailure, match="11-12,20-.*10 pages"):
        PageSelection.parse("11-12,20-").resolve(10)


def test_beyond_names_what_is_not_there() -> None:
    assert PageSelection.parse("1-3,8-12,20,30-").beyond(10) == "11-12, 20, 30-"
    assert PageSelection.parse("1-").beyond(10) == ""


@given(st.sets(st.integers(1, 60), min_size=1))
def test_compact_form_can_be_parsed_again(pages: set[int]) -> None:
    assert set(PageSelection.parse(format_pages(pages)).resolve(60)) == pages


@given(st.text(alphabet="0123456789-, x", max_size=12), st.integers(1, 30))
def test_any_text_gives_pages_of_the_document_or_a_usage_error(text: str, total: int) -> None:
    try:
        pages = PageSelection.parse(text).resolve(total)
    except UsageFailure:
        return
    assert pages
    assert list(pages) == sorted(set(pages))
    assert 1 <= pages[0] <= pages[-1] <= total
