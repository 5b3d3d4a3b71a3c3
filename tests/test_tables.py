"""Rows of tables: told in sentences where a header names their columns, and left as they are where none does."""

from __future__ import annotations

import pytest
from infini_attention.documents import Block
from infini_attention.text.kept import KeptText
from infini_attention.text.passages import passages, sentences
from infini_attention.text.search import Search, nearest_cells
from infini_attention.text.tables import rows_of

REGIONS = "Region\t2021\t2022\nNorth\t112.4\t118.9\nSouth\t98.1\t97.6"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (REGIONS, "The 2021 of South is 98.1. The 2022 of South is 97.6."),
        ("2021\t2022\nNorth\t1\t2\nSouth\t98.1\t97.6", "The 2021 of South is 98.1. The 2022 of South is 97.6."),
        ("| Item | Price |\n| --- | ---: |\n| Lamp | 12 |", "The Price of Lamp is 12."),
        ("| Tool | Use | Made of |\n|---|---|---|\n| Saw | wood | |", "The Use of Saw is wood."),
        ("| a\\|b | c | d |\n| e | f | g |", "The c of e is f. The d of e is g."),
    ],
)
def test_a_row_is_told_by_its_headers(text: str, told: str) -> None:
    *_, last = rows_of(text)
    assert " ".join(last.told) == told and not rows_of(text)[0].told


@pytest.mark.parametrize("text", ["Name\tAnn Lee\nBorn in\tOslo", "4\t5\t6\n7\t8\t9", "a\tb\tc\nd\te"])
def test_nothing_is_told_where_no_header_names_the_columns(text: str) -> None:
    rows = rows_of(text)
    assert [row.text for row in rows] == text.replace("\t", " ").split("\n")
    assert not any(row.told for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "One line.",
        "a\tb",
        "A paragraph\nof two lines.",
        "\tA tab before\n\teach line.",
        "Region\t2021\nA line below.",
    ],
)
def test_other_text_is_no_table(text: str) -> None:
    assert rows_of(text) == []


def test_a_row_is_found_by_its_header_and_shown_as_it_stands() -> None:
    found = passages([KeptText("t", (Block("Before it.", 1), Block(REGIONS, 2)))], words=8)
    (best,) = Search(found).find("What was South's figure in 2022?", 1)
    assert "The 2022 of South is 97.6." in best.passage.told
    assert "South 98.1 97.6" in best.passage.text and "The 2022" not in best.passage.text
    assert [sentence.page for sentence in sentences(Block(REGIONS, 2))] == [2, 2, 2]


def test_of_a_row_only_the_cell_that_is_asked_for_is_read() -> None:
    (row,) = [one for one in passages([KeptText("t", (Block(REGIONS, 2),))]) if "South" in one.text]
    assert nearest_cells(row, "What was South's figure in 2022?").told == "The 2022 of South is 97.6."
    assert nearest_cells(row, "What of South?").told == row.told


def test_cells_are_told_apart_by_the_stems_of_the_documents_language() -> None:
    towns = "Ort\tHäuser\tBäume\nBonn\t12\t30\nTrier\t9\t14"
    story = "Der Müller ging am Morgen zum Fluss und sah ein Boot, das am Ufer lag. Er nahm die Lampe und wartete. " * 5
    found = passages([KeptText("t", (Block(story, 1), Block(towns, 2)))], words=8)
    search = Search(found)
    row = next(one for one in found if "Bonn" in one.told)
    assert search.language == "de"
    assert nearest_cells(row, "Und jedes Haus in Bonn?", search.language).told == "The Häuser of Bonn is 12."
