"""The sample book: the Markdown, the PDF made from it, and the questions about it."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pypdf import PdfReader

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
MARKDOWN = SAMPLES / "four-pounds-of-lead.md"
PDF = MARKDOWN.with_suffix(".pdf")
TITLE = "Four Pounds of Lead"


@cache
def markdown() -> str:
    return MARKDOWN.read_text(encoding="utf-8")


@cache
def headings() -> list[str]:
    return re.findall(r"^## (.+)$", markdown(), flags=re.MULTILINE)


@cache
def page_lines(path: Path = PDF) -> list[list[str]]:
    """The lines of each page as pypdf extracts them, heads and page numbers included."""
    return [[line.strip() for line in page.extract_text().strip().split("\n")] for page in PdfReader(path).pages]


@cache
def openings() -> list[int]:
    """The 1-based physical page on which each bookmark's chapter opens."""
    reader = PdfReader(PDF)
    numbers = [reader.get_destination_page_number(entry) for entry in flat_outline(reader)]
    return [number + 1 for number in numbers if number is not None]


@cache
def questions() -> list[dict[str, Any]]:
    lines = (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def flat_outline(reader: PdfReader) -> list[Any]:
    assert not any(isinstance(entry, list) for entry in reader.outline)
    return list(reader.outline)


def body(page: int) -> str:
    """The text of a 1-based page without its running head and page number."""
    lines = page_lines()[page - 1]
    if page == 1:
        return "\n".join(lines)
    return "\n".join(lines[(0 if page in openings() else 2) : -1])


def plain(text: str) -> str:
    """Words only, between single blanks, so that line ends, quotes and commas make no difference."""
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower())) + " "


def make_pdf_module() -> ModuleType:
    pytest.importorskip("reportlab", reason="reportlab (the dev extra) makes the PDF")
    spec = importlib.util.spec_from_file_location("make_pdf", SAMPLES / "make_pdf.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name while the class is made
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "make_pdf", module)
        spec.loader.exec_module(module)
    return module


def test_committed_pdf_is_what_the_script_makes(tmp_path: Path) -> None:
    made = tmp_path / "made.pdf"
    make_pdf_module().make_pdf(out=made)
    assert page_lines(made) == page_lines()


def test_script_makes_the_same_bytes_twice(tmp_path: Path) -> None:
    module = make_pdf_module()
    for name in ("one.pdf", "two.pdf"):
        module.make_pdf(out=tmp_path / name)
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()


def test_character_outside_the_built_in_fonts_is_refused() -> None:
    with pytest.raises(ValueError, match="u0416"):
        make_pdf_module().parse("# A title\n\n## 1. One\n\nThe letter \u0416 cannot be shown.")


def test_pdf_has_every_word_of_the_markdown_in_order() -> None:
    expected = re.sub(r"^(?:#+|>) ?", "", markdown(), flags=re.MULTILINE).replace("*", "").split()
    found = [word for page in range(1, len(page_lines()) + 1) for word in body(page).split()]
    assert found == expected


def test_bookmarks_are_the_chapter_headings() -> None:
    assert [entry.title for entry in flat_outline(PdfReader(PDF))] == headings()
    assert [page_lines()[page - 1][0] for page in openings()] == headings()


def test_running_heads_and_page_numbers() -> None:
    chapter = -1
    for page, lines in enumerate(page_lines()[1:], start=2):
        assert lines[-1] == str(page)
        if page in openings():
            chapter += 1
        else:
            assert lines[:2] == [TITLE, headings()[chapter]]


def test_questions_are_thirty_and_unique() -> None:
    assert len(questions()) == 30
    for field in ("id", "question"):
        assert len({record[field] for record in questions()}) == 30
    keys = {"id", "question", "answer", "accept", "pages", "chapter"}
    assert all(set(record) == keys for record in questions())


@pytest.mark.parametrize("record", questions(), ids=lambda record: record["id"])
def test_answer_stands_on_its_pages(record: dict[str, Any]) -> None:
    chapter = headings().index(record["chapter"])
    ends = [*openings()[1:], len(page_lines()) + 1]
    assert record["pages"]
    for page in record["pages"]:
        assert openings()[chapter] <= page < ends[chapter]
        assert plain(record["answer"]) in plain(body(page))
