from __future__ import annotations

import logging
import os
import subprocess
import sys

import pypdf
import pytest
from document_helpers import break_page_content, break_page_object, cut_page_content, encrypt, load, make_pdf
from hypothesis import given, settings
from hypothesis import strategies as st
from infini_attention.documents import PageSelection, load_document
from infini_attention.errors import InfiniError, InputError, UsageFailure

NUMBERS = ["one", "two", "three", "four", "five", "six"]
STORY = [[f"On day {word} the miller came to the river and he saw", f"a boat with {word} lamps."] for word in NUMBERS]
PLAIN = make_pdf(STORY)


def test_pages_and_headings() -> None:
    document = load(make_pdf(STORY, outline=[(2, "The Ford"), (4, "The Mill"), (4, "The Wheel")]))
    assert document.kind == "pdf"
    assert document.extractor.startswith("pypdfium2 ")
    assert load(PLAIN, backend="pypdf").extractor == f"pypdf {pypdf.__version__}"
    assert (document.pages, document.pages_read) == (6, 6)
    assert [block.page for block in document.blocks] == [1, 2, 3, 4, 5, 6]
    headings = [block.heading for block in document.blocks]
    assert headings == [None, "The Ford", "The Ford", "The Wheel", "The Wheel", "The Wheel"]
    assert document.blocks[0].text == "On day one the miller came to the river and he saw a boat with one lamps."
    assert document.text.count("\n\n") == 5
    assert document.notes == ()


def test_chapters_without_an_outline() -> None:
    document = load(make_pdf([["Chapter One", *STORY[0]], STORY[1], ["Epilogue", *STORY[2]]]))
    by_page = {block.page: block.heading for block in document.blocks}
    assert by_page == {1: "Chapter One", 2: "Chapter One", 3: "Epilogue"}


def test_chapters_that_only_a_numeral_opens() -> None:
    document = load(make_pdf([["I", "The Ford", *STORY[0]], STORY[1], ["II", *STORY[2]]]))
    by_page = {block.page: block.heading for block in document.blocks}
    assert by_page == {1: "I The Ford", 2: "I The Ford", 3: "II"}
    numbered = load(make_pdf([[*STORY[0], "I"], [*STORY[1], "II"], [*STORY[2], "III"]]))
    assert {block.heading for block in numbered.blocks} == {None}


def test_running_heads_are_left_out_and_noted() -> None:
    document = load(make_pdf(STORY, head="The Miller of Dorn", numbered=True))
    assert document.blocks[0].text == "The Miller of Dorn"
    assert document.text.count("Dorn") == 1
    assert document.notes == ("left out 11 lines of running heads and page numbers",)


def test_selection_keeps_physical_page_numbers() -> None:
    document = load(PLAIN, pages=PageSelection.parse("2,5-9"))
    assert [block.page for block in document.blocks] == [2, 5, 6]
    assert (document.pages, document.pages_read) == (6, 3)
    assert document.notes == ("the document has 6 pages; there is nothing at 7-9",)
    with pytest.raises(UsageFailure):
        load(PLAIN, pages=PageSelection.parse("7-"))


def test_pages_without_text_are_named() -> None:
    document = load(make_pdf([STORY[0], [], [], STORY[3], []]))
    assert document.empty_pages == (2, 3, 5)
    assert document.notes == ("no text on pages 2-3, 5",)
    assert document.pages_read == 5


def test_scanned_file_needs_ocr() -> None:
    with pytest.raises(InputError, match="needs OCR") as caught:
        load(make_pdf([[], []]))
    assert "ocrmypdf" in caught.value.hint


def test_encrypted_without_a_password() -> None:
    with pytest.raises(InputError, match="encrypted") as caught:
        load(encrypt(PLAIN, "river"))
    assert "INFINI_PDF_PASSWORD" in caught.value.hint


def test_encrypted_with_the_password() -> None:
    assert load(encrypt(PLAIN, "river"), password="river").text == load(PLAIN).text


def test_encrypted_with_an_empty_user_password() -> None:
    def never(name: str) -> str:
        raise AssertionError(name)

    assert load(encrypt(PLAIN, ""), ask_password=never).text == load(PLAIN).text


def test_wrong_password() -> None:
    with pytest.raises(InputError, match="wrong"):
        load(encrypt(PLAIN, "river"), password="lake")


def test_password_is_asked_for() -> None:
    answers = iter(["lake", "river"])
    assert load(encrypt(PLAIN, "river"), ask_password=lambda name: next(answers)).pages == 6
    asked: list[str] = []
    with pytest.raises(InputError, match="wrong"):
        load(encrypt(PLAIN, "river"), ask_password=lambda name: asked.append(name) or "lake")  # type: ignore[func-returns-value]
    assert asked == ["stdin"] * 3


def test_aes() -> None:
    pytest.importorskip("cryptography")
    assert load(encrypt(PLAIN, "river", algorithm="AES-256"), password="river").text == load(PLAIN).text


@pytest.mark.parametrize("damage", [break_page_object, break_page_content])
def test_a_damaged_page_is_named_and_the_others_are_read(damage: object) -> None:
    whole = make_pdf(STORY, outline=[(3, "The Ford")])
    document = load(damage(whole, 3))  # type: ignore[operator]
    assert document.failed_pages == (3,)
    assert [block.page for block in document.blocks] == [1, 2, 4, 5, 6]
    assert [block.heading for block in document.blocks] == [None, None, "The Ford", "The Ford", "The Ford"]
    assert (document.pages, document.pages_read) == (6, 5)
    assert document.notes == ("page 3 could not be read: the file is damaged",)


def test_a_half_broken_page_is_said_to_be_incomplete() -> None:
    lines = [f"line {n} of the log with {n * 7919 % 1000} words in it" for n in range(30)]
    document = load(cut_page_content(make_pdf([lines, *STORY[1:]]), 1, keep=0.7))
    assert document.blocks[0].page == 1
    assert "line 1 of" in document.text
    assert "line 29 of" not in document.text
    assert document.notes == ("page 1 may be incomplete: the file is damaged",)


def test_no_page_can_be_read() -> None:
    data = make_pdf(STORY[:2])
    with pytest.raises(InputError, match="none of its pages") as caught:
        load(break_page_object(break_page_content(data, 2), 1))
    assert caught.value.exit_code == 3


def test_a_file_cut_short_gives_the_pages_that_are_there() -> None:
    document = load(PLAIN[: int(len(PLAIN) * 0.85)])
    assert document.blocks[0].page == 1
    assert document.blocks[0].text == load(PLAIN).blocks[0].text
    assert document.pages == 6
    assert any("cut short" in note for note in document.notes)


def test_rubbish_after_a_pdf_header() -> None:
    with pytest.raises(InputError, match="damaged"):
        load(b"%PDF-1.4\nnothing of the kind")


def test_bytes_before_the_header() -> None:
    assert load(b"\r\nX-Mailer: 1\n" + PLAIN).text == load(PLAIN).text


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, len(PLAIN)),
    length=st.integers(1, 400),
    filler=st.sampled_from([b"", b"#", b"\0", b"<", b"9"]),
)
def test_any_damage_gives_a_document_or_an_explained_error(start: int, length: int, filler: bytes) -> None:
    damaged = PLAIN[:start] + filler * length + PLAIN[start + length :]
    try:
        document = load(damaged)
    except InfiniError as error:
        assert error.hint
        return
    assert document.blocks


def test_nothing_of_pypdf_reaches_the_terminal(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "broken.pdf")
    with open(path, "wb") as file:
        file.write(break_page_object(PLAIN.replace(b"startxref\n", b"startxref\n9"), 2))
    code = "import sys; from infini_attention.documents import load_document; load_document(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    logger = logging.getLogger("pypdf")
    before = (logger.propagate, list(logger.handlers))
    load_document(path)
    assert (logger.propagate, list(logger.handlers)) == before
