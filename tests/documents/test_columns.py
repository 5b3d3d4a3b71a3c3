from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents.page_lines import page_lines
from infini_attention.documents.pdf_pieces import Piece

FIRST = [
    "Kelp was burned on these",
    "shores for years. The ash",
    "went to makers of glass",
    "and soap. When the price",
    "fell, there was no work,",
    "and the boats lay empty.",
]
SECOND = [
    "Those who stayed turned",
    "to herring. It was a hard",
    "trade, because the shoals",
    "moved. A shed that stood",
    "in one bay was of no use",
    "when the fish were gone.",
]
THIRD = [
    "No house has been built",
    "on that shore since then,",
    "and none will be. Only a",
    "wall stands of the last,",
    "which sheep have taken to",
    "as their own in the cold.",
]


def piece(text: str, left: float, height: float) -> Piece:
    return Piece(text, left, left + 5 * len(text), height, 10.0)


def by_line(*columns: list[str], top: float = 700, gap: float = 150) -> list[Piece]:
    return [
        piece(column[row], 70.0 + gap * number, top - 14 * row)
        for row in range(max(map(len, columns)))
        for number, column in enumerate(columns)
        if row < len(column)
    ]


def read(pieces: list[Piece]) -> tuple[list[str], bool]:
    lines, reordered = page_lines(pieces)
    return [line.text for line in lines if line.text], reordered


def test_columns_drawn_line_by_line_follow_each_other() -> None:
    title, foot = piece("On kelp, and on what came after it in the north", 70, 730), piece("Read in March.", 90, 100)
    assert read([title, *by_line(FIRST, SECOND), foot]) == ([title.text, *FIRST, *SECOND, foot.text], True)
    assert read(by_line(FIRST, SECOND, THIRD)) == ([*FIRST, *SECOND, *THIRD], True)


def test_a_column_may_be_longer_than_the_others() -> None:
    last = "the end of it all."
    assert read(by_line([*FIRST, last], SECOND, THIRD))[0] == [*FIRST, last, *SECOND, *THIRD]
    assert read(by_line(FIRST, SECOND, [*THIRD, last]))[0] == [*FIRST, *SECOND, *THIRD, last]


def test_two_runs_of_columns_on_a_page() -> None:
    title = piece("A second heading, which stands across the whole page", 70, 600)
    pieces = [*by_line(FIRST, SECOND), title, *by_line(SECOND, FIRST, top=580)]
    assert read(pieces)[0] == [*FIRST, *SECOND, title.text, *SECOND, *FIRST]


def test_what_is_in_order_stays() -> None:
    by_column = [
        piece(text, 70 + 150 * column, 700 - 14 * row)
        for column, texts in enumerate((FIRST, SECOND, THIRD))
        for row, text in enumerate(texts)
    ]
    assert read(by_column) == ([*FIRST, *SECOND, *THIRD], False)
    assert read([]) == ([], False)


NAMES = [["Station", "Depth", "Remarks"], ["Outer buoy", "17", "calm"], ["Deep ground", "140", "not in May"]]


def test_a_table_is_read_row_by_row() -> None:
    rows = ["\t".join(cells) for cells in NAMES]
    by_row = [
        piece(cell, 70 + 150 * column, 700 - 14 * row)
        for row, cells in enumerate(NAMES)
        for column, cell in enumerate(cells)
    ]
    lines, reordered = page_lines(by_row)
    assert ([line.text for line in lines], reordered) == (rows, False)
    assert all(line.row for line in lines)


def test_a_table_that_is_drawn_column_by_column_is_read_row_by_row() -> None:
    columns = [["Year", "North", "South"], ["2021", "4.5", "17"], ["2022", "5", "6.25"]]
    pieces = [
        piece(cell, 70 + 150 * x, 700 - 14 * y) for x, column in enumerate(columns) for y, cell in enumerate(column)
    ]
    assert read(pieces)[0] == ["Year\t2021\t2022", "North\t4.5\t5", "South\t17\t6.25"]


pieces = st.builds(
    piece,
    st.sampled_from([*FIRST, *SECOND, "and so on it went", "1902"]),
    st.sampled_from([70.0, 72.0, 320.0, 500.0]),
    st.sampled_from([700.0, 686.0, 672.0]),
)


@given(st.lists(pieces, max_size=30))
def test_no_word_is_lost_or_doubled(given_pieces: list[Piece]) -> None:
    texts, _ = read(given_pieces)
    assert sorted(" ".join(texts).split()) == sorted(" ".join(each.text for each in given_pieces).split())
