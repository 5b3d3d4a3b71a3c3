"""PDF files through pdfium, the library of a web browser (the extra `pdfium`).

It does not tell an empty page from one whose content is broken: pypdf, which is always there, looks at the content
streams for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

from ..errors import InputError
from .columns import Line, in_columns
from .extracted import REPAIR_HINT, Extracted, unlock
from .model import OutlineItem
from .pages import PageSelection
from .pdf_pypdf import damage
from .pdf_repair import with_new_end
from .pdf_tree import attempt, quiet

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfiumError, PdfTextPage

# What pdfium writes for a hyphen at a line's end, the line's end included.
_BROKEN_WORD = re.compile("[\x02\ufffe]")
# After a raised mark it ends the line, though the line goes on with a space.
_BROKEN_LINE = re.compile(r"(?<=[0-9*†‡§])\n(?= \S)")
# A gap within a line that parts two columns, in heights of the line.
_GAP = 1.0
_FEWEST_SIDE_BY_SIDE = 5
# A gap that parts the title of a book from that of a chapter in a running head.
_HEAD_GAP = 3.0

Box = tuple[float, float, float, float]


def extract(
    data: bytes,
    name: str,
    *,
    selection: PageSelection | None,
    password: str | None,
    ask_password: Callable[[str], str] | None,
) -> Extracted:
    """Take the text out of a PDF; arguments and errors as for `read_pdf`.

    Raises:
        InputError: If the package is not installed, too.
    """
    try:
        from pypdfium2 import PYPDFIUM_INFO
    except ImportError:
        raise InputError(
            "the PDF backend pdfium needs the package pypdfium2",
            "Install it: pip install 'infini[pdfium]', or use --pdf-backend pypdf.",
        ) from None

    pdf, right_password, mended = _open(data, name, password, ask_password)
    with quiet("pypdfium2"):
        try:
            total = len(pdf)
            chosen = selection.resolve(total) if selection is not None else tuple(range(1, total + 1))
            extracted = Extracted(f"pypdfium2 {PYPDFIUM_INFO}", total, chosen)
            broken, extracted.repaired = damage(data, right_password, chosen)
            extracted.repaired |= mended
            for number in chosen:
                text, reordered = _text(pdf, number - 1)
                extracted.add(number, text, whole=number not in broken, reordered=reordered)
            extracted.outline = attempt(lambda: _outline(pdf)) or []
            labels = {number: attempt(partial(pdf.get_page_label, number - 1)) for number in chosen}
            extracted.labels = {number: label.strip() for number, label in labels.items() if label and label.strip()}
        finally:
            pdf.close()
    return extracted


def _open(
    data: bytes, name: str, password: str | None, ask_password: Callable[[str], str] | None
) -> tuple[PdfDocument, str | None, bool]:
    """The document, the password that opened it, and whether the file had to be given a new end."""
    from pypdfium2 import PdfDocument, PdfiumError, raw

    opened: list[tuple[PdfDocument, str]] = []

    def opens(word: str) -> bool:
        try:
            opened.append((PdfDocument(data, password=word), word))
        except PdfiumError as error:
            if error.err_code != raw.FPDF_ERR_PASSWORD:
                raise _unreadable(name, error) from error
            return False
        return True

    try:
        return PdfDocument(data), None, False
    except PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_SECURITY:
            raise InputError(
                f"{name} is protected in a way that cannot be opened",
                "Open it in a PDF viewer and print it to a new PDF.",
            ) from None
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            unlock(name, opens, password, ask_password)
            return *opened[0], False
        mended = with_new_end(data)
        pdf = None if mended is None else attempt(lambda: PdfDocument(mended))
        if pdf is None:
            raise _unreadable(name, error) from error
        return pdf, None, True


def _text(pdf: PdfDocument, index: int) -> tuple[str | None, bool]:
    """The text of a page, or None if it cannot be read, and whether its columns had to be told apart."""
    page = attempt(lambda: pdf[index])
    if page is None:
        return None, False
    try:
        text_page = attempt(page.get_textpage)
        text = None if text_page is None else attempt(text_page.get_text_bounded)
        if text_page is None or text is None:
            return None, False
        boxes = [text_page.get_rect(number) for number in range(text_page.count_rects())]
        if _side_by_side(boxes) >= _FEWEST_SIDE_BY_SIDE:
            ordered = attempt(lambda: in_columns(_lines(text_page)))
            if ordered is not None:
                return "\n".join(ordered), True
        lines = _BROKEN_LINE.sub("", _BROKEN_WORD.sub("-\n", text.replace("\r\n", "\n"))).split("\n")
        for end, inwards in ((0, boxes), (-1, boxes[::-1])):
            lines[end] = _parted(text_page, lines[end], inwards)
    finally:
        page.close()
    return "\n".join(lines), False


def _parted(text_page: PdfTextPage, line: str, boxes: Sequence[Box]) -> str:
    """The line of the first boxes with a line's end at each wide gap: heads are known by their parts."""
    beside = list(takewhile(lambda box: box[1] < boxes[0][3] and box[3] > boxes[0][1], boxes))
    parts: list[Box] = []
    for box in sorted(beside):
        if parts and box[0] - parts[-1][2] <= _HEAD_GAP * (box[3] - box[1]):
            last = parts.pop()
            box = last[0], min(last[1], box[1]), max(last[2], box[2]), max(last[3], box[3])
        parts.append(box)
    texts = [" ".join(text_page.get_text_bounded(*part).split()) for part in parts] if len(parts) > 1 else []
    # The boxes may hold more than the line does, where lines touch each other.
    return "\n".join(texts) if texts and " ".join(texts) == " ".join(line.split()) else line


def _side_by_side(boxes: Sequence[Box]) -> int:
    """How often text stands beside the text before it, with a gap between them: a quick look for columns."""
    return sum(
        1
        for before, box in pairwise(boxes)
        if box[0] - before[2] > _GAP * (box[3] - box[1]) and box[1] < before[3] and box[3] > before[1]
    )


def _lines(text_page: PdfTextPage) -> list[Line]:
    """The lines of a page, cut where there is a gap."""
    from pypdfium2 import raw

    lines: list[Line] = []
    text, start = "", (0.0, 0.0)
    before: Box | None = None

    def end() -> None:
        nonlocal text, before
        if text.strip():
            lines.append(Line(" ".join(text.split()), *start))
        text, before = "", None

    for index in range(text_page.count_chars()):
        character = chr(raw.FPDFText_GetUnicode(text_page, index))
        if character in "\r\n":
            end()
            continue
        if character.isspace():
            text += character
            continue
        box: Box = text_page.get_charbox(index, loose=True)
        if before is not None and box[0] - before[2] > _GAP * (box[3] - box[1]):
            end()
        if not text.strip():
            start = box[0], box[1]
        text += "-" if _BROKEN_WORD.match(character) else character
        before = box
        if _BROKEN_WORD.match(character):
            end()
    end()
    return lines


def _outline(pdf: PdfDocument) -> list[OutlineItem]:
    items = []
    for bookmark in pdf.get_toc():
        target = bookmark.get_dest()
        index = None if target is None else target.get_index()
        if title := " ".join(bookmark.get_title().split()):
            items.append(OutlineItem(title, bookmark.level + 1, None if index is None else index + 1))
    return items


def _unreadable(name: str, error: PdfiumError) -> InputError:
    from pypdfium2 import raw

    if error.err_code == raw.FPDF_ERR_SUCCESS:
        return InputError(f"{name} has no pages", REPAIR_HINT)
    return InputError(f"{name} is damaged and cannot be opened as a PDF: {error}", REPAIR_HINT)
