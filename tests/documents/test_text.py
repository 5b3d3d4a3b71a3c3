from __future__ import annotations

import codecs
import random

import pytest
from document_helpers import load
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.documents import OutlineItem
from infini_attention.documents.text import decode, split_blocks
from infini_attention.errors import InputError

GERMAN = "Das Mädchen fährt über die Brücke nach Köln und grüßt den Müller.\n\nDer Müller grüßt zurück.\n"
RUSSIAN = "Привет, как дела? Сегодня хорошая погода, и мы пойдём гулять в парк у реки.\n" * 3
JAPANESE = "これは日本語の文章です。とても短いです。\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN, "utf-32-le"),
        (GERMAN, "utf-32-be"),
        (GERMAN, "cp1252"),
        ("\u201cQuoted\u201d \u2014 and it\u2019s good. Café déjà vu, naïve résumé.", "cp1252"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "utf-16-le"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "utf-16"),
    ],
)
def test_any_encoding(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), "a.txt").text == text


def test_line_ends_and_names_of_encodings() -> None:
    document = load(codecs.BOM_UTF16_LE + "one\r\ntwo\r\rthree".encode("utf-16-le"))
    assert [block.text for block in document.blocks] == ["one\ntwo", "three"]
    assert document.encoding == "utf-16-le"
    assert document.kind == "text"
    assert document.extractor == "text"
    assert (document.pages, document.pages_read, document.notes) == (None, None, ())


def test_a_guess_is_noted() -> None:
    document = load(GERMAN.encode("cp1252"))
    assert document.encoding == "cp1252"
    assert document.notes == ("the encoding is a guess: cp1252",)
    assert document.extractor.startswith("chardet ")


def test_a_damaged_byte_does_not_change_the_encoding() -> None:
    data = (GERMAN * 5).encode() + b"\xff" + GERMAN.encode()
    document = load(data)
    assert document.encoding == "utf-8"
    assert document.text.count("Mädchen") == 6
    assert document.notes == ("1 place is not valid utf-8 and read as \ufffd",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (random.Random(0).randbytes(4000), "binary"),
        (b"\x7fELF\x02\x01\x01" + bytes(60) + b"text" * 30, "binary"),
        (b"PK\x03\x04\x14\x00\x06\x00" + bytes(200), "ZIP archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "image"),
        (bytes(range(1, 32)) * 40, "binary"),
        (bytes(1000), "binary"),
    ],
)
def test_binary_files_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(data)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_markdown_headings() -> None:
    text = (
        "Intro\n\n# The Ford #\n\nA man.\n\nThe Mill\n========\n\n```\n# no heading\n\nstill code\n```\n\n"
        "## Wheel\nText right below.\n\n| a |\n|---|\n"
    )
    blocks = split_blocks(text, "markdown")
    assert [(block.heading, block.text) for block in blocks] == [
        (None, "Intro"),
        ("The Ford", "# The Ford #"),
        ("The Ford", "A man."),
        ("The Mill", "The Mill\n========"),
        ("The Mill", "```\n# no heading\n\nstill code\n```"),
        ("Wheel", "## Wheel\nText right below."),
        ("Wheel", "| a |\n|---|"),
    ]


def test_markdown_is_told_by_content() -> None:
    assert load(b"# One\n\ntext\n\n## Two\n\nmore\n").kind == "markdown"
    assert load(b"# a comment\nx = 1\n# another\ny = 2\n").kind == "text"


def test_chapters_of_plain_text() -> None:
    text = "CHAPTER I\n\nIt began.\n\nChapter twenty-one: The Ford\n\nPart of it was lost.\n\nEpilogue\n\nEnd."
    headings = [block.heading for block in split_blocks(text, "text")]
    first, ford, last = "CHAPTER I", "Chapter twenty-one: The Ford", "Epilogue"
    assert headings == [first, first, ford, ford, last, last]


def test_chapters_that_only_a_numeral_opens() -> None:
    text = "CONTENTS\n\nI\nII\n\nI\n\nThe Machine\n\nIt began.\n\nII.\nOn the Road\n\nOn.\n\nIII\n\n\u201cYes,\u201d said I.\n\nV\n\nEnd."
    headings = [block.heading for block in split_blocks(text, "text")]
    first, second, third = "I The Machine", "II. On the Road", "III"
    assert headings == ["CONTENTS"] * 2 + [first] * 3 + [second] * 2 + [third] * 4
    # One numeral alone is somebody's word, and lists of them are no chapters.
    for text in ("So do\n\nI\n\nand others.", "X\n\nXI\n\nXII", "I walked.\n\nII did not."):
        assert {block.heading for block in split_blocks(text, "text")} == {None}


@given(st.text(alphabet="ab#`~ =-\n\t\f", max_size=80), st.sampled_from(["markdown", "text"]))
def test_blocks_keep_every_character_but_white_space(text: str, kind: str) -> None:
    blocks = split_blocks(text, kind)  # type: ignore[arg-type]
    assert "".join("".join(block.text.split()) for block in blocks) == "".join(text.split())
    assert all(block.text.strip() for block in blocks)


@given(st.binary(max_size=300))
def test_any_bytes_give_text_or_an_explained_error(data: bytes) -> None:
    try:
        decoded = decode(data, "a.bin")
    except InputError as error:
        assert error.hint
        return
    decoded.text.encode("utf-8", errors="strict")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=200))
def test_utf8_is_read_as_it_is(text: str) -> None:
    assert decode(text.encode(), "a.txt").text == text.removeprefix("\ufeff")


def test_the_outline_of_markdown_is_its_headings_with_their_levels() -> None:
    text = "# The Mill #\n\nText.\n\n### A *wheel*\nmore\n\nThe Ford\n--------\n\n```\n# no heading\n```\n\nEnd\n===\n"
    document = load(text.encode() + b"\n# A\n\n# B\n")
    assert document.outline == (
        OutlineItem("The Mill", 1),
        OutlineItem("A *wheel*", 3),
        OutlineItem("The Ford", 2),
        OutlineItem("End", 1),
        OutlineItem("A", 1),
        OutlineItem("B", 1),
    )
    assert load(b"Chapter One\n\nText without marks.").outline == ()


POLISH = (
    "Zażółć gęślą jaźń. Świeża śliwka spadła z gałęzi, a właściciel sadu zapłacił źle. Książka leży na ławce.\n" * 4
)
TURKISH = "Şu küçük ışık odasının içinde güneşin doğuşunu bekliyorduk; ağaçların gölgesi değişti.\n" * 4
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. Dnes je krásný den a kočka sedí na střeše.\n" * 4
KOREAN = "열쇠의 번호는 칠십칠이고 편지는 지하실에서 찾았다.\n" * 4


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (POLISH, "iso8859-2"),
        (POLISH, "cp1250"),
        (CZECH, "iso8859-2"),
        (CZECH, "cp1250"),
        (TURKISH, "cp1254"),
        (TURKISH, "iso8859-9"),
        (GERMAN, "iso8859-1"),
        (JAPANESE * 4, "iso2022_jp"),
        (JAPANESE * 4, "euc_jp"),
        (KOREAN, "iso2022_kr"),
        (KOREAN, "euc_kr"),
        ("钥匙的号码是七十七，信在地下室里找到。\n" * 4, "gb18030"),
    ],
)
def test_encodings_that_look_alike_are_told_apart(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), "a.txt").text == text


def test_a_few_nul_bytes_make_no_binary_file_and_are_counted() -> None:
    document = load(b"First line of the log.\0\nSecond line of the log.\n")
    assert document.text == "First line of the log.\nSecond line of the log."
    assert any("1 control character" in note for note in document.notes)


def test_nothing_that_drives_a_terminal_reaches_the_text() -> None:
    text = "\x1b[31mERROR\x1b[0m cold.\x1b]52;c;ZXZpbA==\x07 \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ N\x08NA\x08A\u202eevil\x9b2J"
    document = load(text.encode())
    assert document.text == "ERROR cold. link NAevil2J"
    assert any("control characters" in note for note in document.notes)
    assert load(b"Page one\x0cPage two").text == "Page one\n\nPage two"
