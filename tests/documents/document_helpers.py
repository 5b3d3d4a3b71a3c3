"""Documents for the tests, made on the spot, and read as from standard input."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from infini_attention.documents import Document, load_document
from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A5  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

Page = Sequence[str]


def load(data: bytes, **options: Any) -> Document:
    """Load a document from bytes, in this process, without recognising pictures."""
    return load_document("-", stdin=io.BytesIO(data), **{"isolation": None, "ocr": "off", **options})


def make_pdf(
    pages: Sequence[Page], *, outline: Sequence[tuple[int, str]] = (), head: str = "", numbered: bool = False
) -> bytes:
    """A PDF with the given lines on each page; a page without lines gets a rectangle, like a scan."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A5, pageCompression=1, invariant=1)
    for number, lines in enumerate(pages, 1):
        for page, title in outline:
            if page == number:
                canvas.bookmarkPage(title)
                canvas.addOutlineEntry(title, title)
        if head:
            canvas.drawString(40, 570, head)
        if not lines:
            canvas.rect(50, 50, 100, 100, fill=1)
        for index, line in enumerate(lines):
            canvas.drawString(40, 540 - 14 * index, line)
        if numbered:
            canvas.drawString(200, 20, str(number))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"


def raw_pdf(content: bytes, *, page: bytes = b"", font: bytes = FONT, stream: bytes = b"", more: bytes = b"") -> bytes:
    """A PDF of one page, its objects written by hand.

    Args:
        content: Operators of the page's content.
        page: More entries of the page's dictionary.
        font: The font F1.
        stream: More entries of the content's dictionary.
        more: A sixth object.
    """
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>"
        + page
        + b">>",
        b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), stream, content),
        font,
        *([more] if more else []),
    ]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return data + end % (count, table, count, len(data))


def encrypt(data: bytes, user: str, *, algorithm: str = "RC4-128") -> bytes:
    """The same PDF, encrypted."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user, "the owner", algorithm=algorithm)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def page_reference(data: bytes, number: int) -> int:
    """Object number of a page."""
    reference: Any = PdfReader(io.BytesIO(data)).pages[number - 1].indirect_reference
    return int(reference.idnum)


def break_page_object(data: bytes, number: int) -> bytes:
    """Overwrite a page's dictionary; all offsets stay right."""
    header = re.search(rb"\n%d 0 obj\n" % page_reference(data, number), data)
    assert header is not None
    end = data.index(b"endobj", header.end())
    return data[: header.end()] + b"#" * (end - header.end()) + data[end:]


def break_page_content(data: bytes, number: int) -> bytes:
    """Overwrite a page's content stream."""
    page: Any = PdfReader(io.BytesIO(data)).pages[number - 1]
    content = page.raw_get("/Contents").idnum
    header = re.search(rb"\n%d 0 obj\n" % content, data)
    assert header is not None
    begin = data.index(b"stream", header.end()) + len(b"stream") + 1
    end = data.index(b"endstream", begin)
    return data[:begin] + b"~" * (end - begin) + data[end:]


def cut_page_content(data: bytes, number: int, *, keep: float) -> bytes:
    """Leave only the first part of a page's compressed content, `keep` of it; nothing else is amiss."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    page = writer.pages[number - 1]
    page.compress_content_streams()
    content: Any = page.raw_get("/Contents").get_object()
    content._data = content._data[: int(keep * len(content._data))]
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()
