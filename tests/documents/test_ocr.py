from __future__ import annotations

import io

import pytest
from document_helpers import load, make_pdf
from infini_attention.documents.ocr import chosen_language, languages
from infini_attention.errors import InputError, UsageFailure
from pypdfium2 import PdfDocument
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

needs_tesseract = pytest.mark.skipif("eng" not in languages(), reason="the extra ocr is missing")
LINES = ["The key of the cellar hangs", "behind the clock in the hall.", "The tenant owes 900 euro."]


def scan(lines: list[str]) -> bytes:
    """Lines as a picture of paper."""
    page = PdfDocument(make_pdf([lines]))[0]
    width, height = page.get_size()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(width, height), invariant=1)
    canvas.drawImage(ImageReader(page.render(scale=3).to_pil()), 0, 0, width, height)
    canvas.save()
    return buffer.getvalue()


@needs_tesseract
def test_the_text_of_a_scan_is_recognised_and_marked() -> None:
    document = load(scan(LINES), ocr="eng")
    assert document.text.split() == " ".join(LINES).split()
    assert document.recognised_pages == (1,)
    assert any("OCR" in note for note in document.notes)
    assert load(make_pdf([LINES]), ocr="eng").recognised_pages == ()


def test_without_recognition_a_scan_is_refused() -> None:
    with pytest.raises(InputError, match="needs OCR"):
        load(scan(LINES), ocr="off")


def test_languages_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infini_attention.documents.ocr.languages", lambda: ["deu"])
    assert (chosen_language("off", "a"), chosen_language("auto", "a"), chosen_language("deu", "a")) == (
        None,
        "deu",
        "deu",
    )
    with pytest.raises(InputError, match="fra"):
        chosen_language("deu+fra", "a")
    with pytest.raises(UsageFailure):
        chosen_language("../../etc", "a")
    monkeypatch.setattr("infini_attention.documents.ocr.languages", list)
    assert chosen_language("auto", "a") is None
