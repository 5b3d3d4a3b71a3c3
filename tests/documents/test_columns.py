from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents.columns import Line, in_columns

LEFT = [
    "Kelp was burned on these",
    "shores for years. The ash",
    "went to makers of glass",
    "and soap. When the price",
    "fell, there was no work,",
    "and the boats lay empty.",
]
RIGHT = [
    "Those who stayed turned",
    "to herring. It was a hard",
    "trade, because the shoals",
    "moved. A shed that stood",
    "in one bay was of no use",
    "when the fish were gone.",
]


def by_line(left: list[str], right: list[str], *, top: float = 700, gap: float = 250) -> list[Line]:
    lines = []
    for row in range(max(len(left), len(right))):
        for column, start in ((left, 70.0), (right, 70.0 + gap)):
            if row < len(column):
                lines.append(Line(column[row], start, top - 14 * row))
    return lines


def test_columns_drawn_line_by_line_follow_each_other() -> None:
    title, foot = Line("On kelp, and on what came after it in the north", 70, 730), Line("Read in March.", 90, 100)
    lines = [title, *by_line(LEFT, RIGHT), foot]
    assert in_columns(lines) == [title.text, *LEFT, *RIGHT, foot.text]


def test_a_column_may_be_longer_than_the_other() -> None:
    assert in_columns(by_line([*LEFT, "the end of it all."], RIGHT)) == [*LEFT, "the end of it all.", *RIGHT]
    assert in_columns(by_line(LEFT, [*RIGHT, "the end of it all."])) == [*LEFT, *RIGHT, "the end of it all."]


def test_two_runs_of_columns_on_a_page() -> None:
    title = Line("A second heading, which stands across the whole page", 70, 600)
    lines = [*by_line(LEFT, RIGHT), title, *by_line(RIGHT, LEFT, top=580)]
    assert in_columns(lines) == [*LEFT, *RIGHT, title.text, *RIGHT, *LEFT]


def test_what_is_in_order_stays() -> None:
    by_column = [
        Line(text, 70 + 250 * column, 700 - 14 * row)
        for column, texts in enumerate((LEFT, RIGHT))
        for row, text in enumerate(texts)
    ]
    assert in_columns(by_column) is None
    assert in_columns([]) is None
    assert in_columns(by_line(LEFT[:4], RIGHT[:4])) is None


def test_a_table_is_read_row_by_row() -> None:
    names = [
        "The outer buoy west",
        "The harbour mouth",
        "The deep ground",
        "The sound at night",
        "The rock, east side",
        "The old pier head",
    ]
    remarks = [
        "Calm, no nets lost",
        "After rain, no swell",
        "Not sampled in May",
        "A strong tide ran",
        "As it was before",
        "Two nets were lost",
    ]
    assert in_columns(by_line(names, remarks)) is None
    assert in_columns(by_line([word.split()[-1] for word in names], [str(n) for n in range(6)])) is None


lines = st.builds(
    Line,
    st.sampled_from([*LEFT, *RIGHT, "and so on it went", "1902"]),
    st.sampled_from([70.0, 72.0, 320.0, 500.0]),
    st.sampled_from([700.0, 686.0, 672.0]),
)


@given(st.lists(lines, max_size=30))
def test_no_line_is_lost_or_doubled(given_lines: list[Line]) -> None:
    texts = in_columns(given_lines)
    assert texts is None or sorted(texts) == sorted(line.text for line in given_lines)
