"""What stands on a page without being part of its content: values of form fields, and notes with text."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .pdf_pieces import Box, Piece

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_MOST_ANNOTATIONS = 5000
_MOST_LETTERS = 100_000
_HIDDEN = 2
_PASSWORD_FIELD = 1 << 13
_CHECKED = "[x]"


def with_annotations(pdf: PdfDocument, page: PdfPage, pieces: Sequence[Piece], crop: Box) -> list[Piece]:
    """The pieces of a page with what its form fields and notes say, each behind what stands to its left."""
    placed = list(pieces)
    for text, box in _annotations(pdf, page):
        left, bottom, right, top = box
        if not (left < crop[2] and right > crop[0] and bottom < crop[3] and top > crop[1]):
            continue
        for line in filter(None, (" ".join(part.split()) for part in text.replace("\r", "\n").split("\n"))):
            _place(placed, line, box)
    return placed


def _place(pieces: list[Piece], text: str, box: Box) -> None:
    """Put a text behind the piece to its left on the same line, else behind all that stands higher."""
    left, bottom, right, top = box
    on_line = [
        number
        for number, piece in enumerate(pieces)
        if piece.turn == 0 and bottom <= piece.base + piece.size / 2 <= top and piece.left < right
    ]
    if any(pieces[number].text == text and pieces[number].right > left for number in on_line):
        return  # The field shows what the page says already.
    before = [number for number in on_line if pieces[number].left <= left]
    if before:
        neighbour = pieces[before[-1]]
        pieces.insert(before[-1] + 1, Piece(text, max(left, neighbour.right), right, neighbour.base, neighbour.size))
        return
    higher = [number for number, piece in enumerate(pieces) if piece.turn == 0 and piece.base >= top]
    size = min(top - bottom, 12.0)
    pieces.insert(higher[-1] + 1 if higher else len(pieces), Piece(text, left, right, top - size, size))


def _annotations(pdf: PdfDocument, page: PdfPage) -> Iterator[tuple[str, Box]]:
    from pypdfium2 import raw

    count = raw.FPDFPage_GetAnnotCount(page.raw)
    if count <= 0:
        return
    for index in range(min(count, _MOST_ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page.raw, index)
        if not annotation:
            continue
        try:
            rect = raw.FS_RECTF()
            text = _text(pdf, annotation)
            if text and raw.FPDFAnnot_GetRect(annotation, rect):
                sides = sorted((rect.left, rect.right)) + sorted((rect.bottom, rect.top))
                yield text, (sides[0], sides[2], sides[1], sides[3])
        finally:
            raw.FPDFPage_CloseAnnot(annotation)


def _text(pdf: PdfDocument, annotation: Any) -> str:
    from pypdfium2 import raw

    if raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
        return ""
    kind = raw.FPDFAnnot_GetSubtype(annotation)
    if kind == raw.FPDF_ANNOT_WIDGET:
        return _value(pdf, annotation)
    if kind in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP):
        return ""
    return _wide(lambda buffer, size: raw.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size))


def _value(pdf: PdfDocument, annotation: Any) -> str:
    from pypdfium2 import raw

    form = pdf.formenv
    if form is None:
        return ""
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
        return _CHECKED if raw.FPDFAnnot_IsChecked(form, annotation) else ""
    if kind == raw.FPDF_FORMFIELD_TEXTFIELD and raw.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD_FIELD:
        return ""
    if kind not in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX):
        return ""
    return _wide(lambda buffer, size: raw.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))


def _wide(read: Any) -> str:
    """A text that pdfium hands over as UTF-16, after it has told its length in bytes."""
    from pypdfium2 import raw

    size = read(None, 0)
    if size <= 2:
        return ""
    size = min(size, _MOST_LETTERS)
    buffer = ctypes.create_string_buffer(size)
    read(ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")
