"""One small PDF for each kind that was once read wrong; drawn here, and told beside the drawing."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Callable

import pytest
from document_helpers import FONT, load, make_pdf, raw_pdf
from infini_attention.errors import InputError
from PIL import Image
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

SENTENCE = "the keeper of the light counts every one of them before he writes their names into his heavy book"
WORDS = SENTENCE.split()


def text_of(operators: str) -> str:
    return load(raw_pdf(operators.encode("latin-1"))).text


def drawn(draw: Callable[[Canvas, int], None], pages: int = 1) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    for number in range(1, pages + 1):
        canvas.setFont("Helvetica", 11)
        draw(canvas, number)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def lines(canvas: Canvas, number: int, *, count: int = 12, top: float = 700) -> None:
    for row in range(count):
        first = (7 * number + 3 * row) % len(WORDS)
        canvas.drawString(60, top - 14 * row, " ".join([*WORDS[first:], *WORDS[:first]]))


def test_words_are_apart_where_a_reader_sees_a_gap() -> None:
    assert text_of("BT /F1 10 Tf 60 780 Td [(develop reco)-180(gnition of the inves)-190(tment)] TJ ET") == (
        "develop recognition of the investment"
    )
    assert text_of("BT /F1 10 Tf 60 780 Td [(The)-190(relationship)-190(of)-190(two)-190(texts)] TJ ET") == (
        "The relationship of two texts"
    )
    narrow = "BT /F1 10 Tf 60 780 Td [(The)-200(keeper)-200(of)-200(the)-115(light)-200(counts)] TJ ET"
    assert text_of(narrow) == "The keeper of the light counts"


def test_letters_drawn_twice_are_bold_and_stand_once() -> None:
    def twice(canvas: Canvas, number: int) -> None:
        for shift in (0, 0.3):
            canvas.drawString(60 + shift, 780, "TERMINATION CLAUSE")
        canvas.setFont("Courier", 11)
        for position, letter in enumerate("PAYMENT"):
            for shift in (0, 0.3):
                canvas.drawString(60 + 6.6 * position + shift, 760, letter)

    assert load(drawn(twice)).text.split() == ["TERMINATION", "CLAUSE", "PAYMENT"]


def test_names_of_glyphs_are_no_text() -> None:
    names = b" ".join(b"/g%d" % (code + 64) for code in range(32, 127))
    font = (
        b"<</Type/Font/Subtype/TrueType/BaseFont/ABCDEF+Calibri/FirstChar 32/LastChar 126/Widths[%s]"
        b"/Encoding<</Type/Encoding/Differences[32 %s]>>>>" % (b"500 " * 95, names)
    )
    data = raw_pdf(b"BT /F1 12 Tf 60 780 Td (The key of the cellar hangs behind the clock.) Tj ET", font=font)
    for backend in ("pdfium", "pypdf"):
        assert load(data, backend=backend).text == "The key of the cellar hangs behind the clock."


def test_letters_that_cannot_be_told_are_said_to_need_ocr() -> None:
    mapping = b"".join(b"<%02x> <e0%02x>\n" % (code, code) for code in range(32, 127))
    unicode = (
        b"begincmap 1 begincodespacerange <00> <ff> endcodespacerange 95 beginbfchar\n%sendbfchar endcmap" % mapping
    )
    data = raw_pdf(
        b"BT /F1 12 Tf 60 780 Td (The key of the cellar hangs behind the clock.) Tj ET",
        font=FONT[:-2] + b"/ToUnicode 6 0 R>>",
        more=b"<</Length %d>>stream\n%s\nendstream" % (len(unicode), unicode),
    )
    with pytest.raises(InputError, match="OCR"):
        load(data)


@pytest.mark.parametrize("backend", ["pdfium", "pypdf"])
def test_what_one_backend_cannot_read_the_other_does(backend: str) -> None:
    wrong_operator = b"BT /F1 12 Tf 60 780 Td [(The key ) 0.0 Tc -250 (of the cellar)] TJ ET"
    assert load(raw_pdf(wrong_operator), backend=backend).text == "The key of the cellar"
    packed = base64.a85encode(zlib.compress(b"BT /F1 12 Tf 60 780 Td (The key of the cellar) Tj ET")) + b"~>"
    short = raw_pdf(packed, stream=b"/Filter[/A85/Fl]")
    document = load(short, backend=backend)
    assert (document.text, document.failed_pages, document.notes) == ("The key of the cellar", (), ())


def test_notes_on_a_page_are_its_text() -> None:
    notes = b"/Annots[<</Type/Annot/Subtype/FreeText/Rect[60 700 400 740]/DA(/Helv 12 Tf 0 g)/Contents(The tenant owes 900.)>>"
    hidden = b"<</Type/Annot/Subtype/Text/F 2/Rect[60 600 80 620]/Contents(Nobody sees this.)>>]"
    document = load(raw_pdf(b"BT /F1 12 Tf 60 780 Td (Remarks:) Tj ET", page=notes + hidden))
    assert [block.text for block in document.blocks] == ["Remarks:", "The tenant owes 900."]
    assert load(raw_pdf(b"", page=notes + b"]")).text == "The tenant owes 900."


def test_values_of_a_form_stand_beside_their_labels() -> None:
    def form(canvas: Canvas, number: int) -> None:
        canvas.drawString(60, 700, "Name of applicant:")
        canvas.acroForm.textfield(name="name", x=200, y=694, width=200, height=18, value="Ada Example")
        canvas.drawString(60, 670, "Married:")
        canvas.acroForm.checkbox(name="married", x=200, y=666, checked=True)

    assert load(drawn(form)).text == "Name of applicant:\tAda Example\nMarried:\t[x]"


def test_heads_of_left_and_right_pages_go_and_sentences_are_whole() -> None:
    def page(canvas: Canvas, number: int) -> None:
        left, right = (f"{number} THE OLD HARBOUR", 60), (f"The keeper {number}", 400)
        text, place = left if number % 2 == 0 else right
        canvas.drawString(place, 800, text)
        lines(canvas, number)

    document = load(drawn(page, pages=12))
    assert "HARBOUR" not in document.text and "The keeper" not in document.text
    assert document.clean_up["running_heads"] == 12


def test_heads_of_a_chapter_go_and_refrains_stay() -> None:
    def page(canvas: Canvas, number: int) -> None:
        if 4 <= number <= 9:
            canvas.drawString(60, 800, "On Nets and Boats")
        if number in (11, 14, 17):
            canvas.drawString(60, 714, "O keeper, keep the light")
        lines(canvas, number)

    text = load(drawn(page, pages=20)).text
    assert "Nets" not in text and text.count("O keeper") == 3


def test_pages_of_nothing_but_numbers_keep_them() -> None:
    def numbers(canvas: Canvas, number: int) -> None:
        for row in range(5):
            canvas.drawString(60, 700 - 14 * row, str(100 * number + row))

    text = load(drawn(numbers, pages=3)).text
    assert [int(number) for number in text.split()] == [100 * page + row for page in (1, 2, 3) for row in range(5)]


def two_titles(canvas: Canvas, number: int) -> None:
    for place, top in enumerate((780, 400)):
        title = f"Title {2 * number + place - 1}"
        canvas.bookmarkPage(title, fit="XYZ", left=0, top=top + 12)
        canvas.addOutlineEntry(title, title)
        canvas.drawString(60, top, f"{2 * number + place - 1}. {title}" if number == 1 else title)
        lines(canvas, number, count=5, top=top - 30)


def test_two_bookmarks_on_a_page_part_its_text() -> None:
    document = load(drawn(two_titles, pages=2))
    under = [(block.heading, block.page) for block in document.blocks if SENTENCE[:20] in block.text]
    assert under == [("Title 1", 1), ("Title 2", 1), ("Title 3", 2), ("Title 4", 2)]


def test_a_bookmark_without_its_title_on_the_page_begins_at_its_height() -> None:
    def page(canvas: Canvas, number: int) -> None:
        for title, top in (("Of boats", 760), ("Of nets", 400)):
            canvas.bookmarkPage(title, fit="XYZ", left=0, top=top)
            canvas.addOutlineEntry(title, title)
            lines(canvas, number, count=5, top=top - 14)

    headings = [block.heading for block in load(drawn(page)).blocks]
    assert headings == ["Of boats", "Of nets"]


def test_numbered_headings_of_a_paper_are_told_by_their_type() -> None:
    def paper(canvas: Canvas, number: int) -> None:
        top = 780
        for title, font, size in (
            ("1 Introduction", "Helvetica-Bold", 14),
            ("1.1 The light", "Helvetica-Bold", 11),
            ("II. RELATED WORK", "Helvetica", 11),
        ):
            canvas.setFont(font, size)
            canvas.drawString(60, top, title)
            canvas.setFont("Helvetica", 11)
            lines(canvas, number, count=6, top=top - 30)
            top -= 200

    document = load(drawn(paper))
    assert [block.heading for block in document.blocks if "keeper" in block.text] == [
        "1 Introduction",
        "1.1 The light",
        "II. RELATED WORK",
    ]


def test_a_sentence_that_begins_with_a_section_is_no_heading() -> None:
    page = [
        "We describe the interpreter in Section 3 and give an overview in",
        "Section 8. In Section 7 we evaluate our dynamic compilation tech-",
        "nique on a set of benchmarks.",
    ]
    document = load(make_pdf([page]))
    assert [(block.heading, len(document.blocks)) for block in document.blocks] == [(None, 1)]


def test_what_the_crop_box_cuts_off_is_not_read() -> None:
    both = b"BT /F1 12 Tf 60 780 Td (Inside.) Tj 0 50 Td (PROOF COPY) Tj ET"
    assert load(raw_pdf(both, page=b"/CropBox[0 0 595 810]")).text == "Inside."


def test_text_that_stands_on_its_side_has_its_words_apart() -> None:
    def sideways(canvas: Canvas, number: int) -> None:
        canvas.drawString(60, 800, "Table 3 stands on its side.")
        canvas.translate(300, 100)
        canvas.rotate(90)
        for row in range(4):
            canvas.drawString(0, -15 * row, " ".join(WORDS[5 * row : 5 * row + 5]))

    assert " ".join(load(drawn(sideways)).text.split()) == "Table 3 stands on its side. " + SENTENCE


def scanned(stamp: str, pages: int = 3) -> bytes:
    paper = ImageReader(Image.linear_gradient("L").resize((300, 400)))

    def page(canvas: Canvas, number: int) -> None:
        canvas.drawImage(paper, 0, 0, *A4)
        if stamp:
            canvas.drawString(200, 20, stamp)

    return drawn(page, pages=pages)


def test_a_stamp_on_a_scan_is_not_its_text() -> None:
    with pytest.raises(InputError, match="needs OCR"):
        load(scanned("Scanned with CamScanner"))
    with pytest.raises(InputError, match="needs OCR"):
        load(scanned(""))


def test_what_little_a_scan_says_is_kept_and_the_rest_is_said_to_need_ocr() -> None:
    paper = ImageReader(Image.linear_gradient("L").resize((300, 400)))

    def page(canvas: Canvas, number: int) -> None:
        if number == 2:
            canvas.drawImage(paper, 0, 0, *A4)
            canvas.drawString(200, 400, "Received on the 3rd of May")
        else:
            lines(canvas, number)

    document = load(drawn(page, pages=3))
    assert "Received on the 3rd of May" in document.text
    assert any("page 2" in note and "OCR" in note for note in document.notes)


def test_a_table_keeps_its_rows() -> None:
    rows = [["Region", "2021", "2022"], ["North", "112.4", "118.9"], ["South", "98.1", "97.6"]]

    def table(canvas: Canvas, number: int) -> None:
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                canvas.drawString(60 + 140 * column, 700 - 16 * row, cell)

    (block,) = load(drawn(table)).blocks
    assert [line.split() for line in block.text.split("\n")] == rows


def test_accents_stand_on_their_letters() -> None:
    apart = "BT /F1 12 Tf 60 780 Td (Hans Br\xa8oker, Fran\xb8cois and Caf\xb4e Lema\xeetre) Tj ET"
    assert text_of(apart) == "Hans Bröker, François and Café Lemaître"
    moved = "BT /F1 12 Tf 60 780 Td (Hans-Bernhard Br) Tj (\xa8) Tj -6 0 Td (oker and P) Tj ET"
    assert text_of(moved) == "Hans-Bernhard Bröker and P"
