"""PDF files through pdfium, the library of a web browser."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .extracted import REPAIR_HINT, Bookmark, Locked, PageText
from .page_lines import page_lines
from .pdf_annotations import with_annotations
from .pdf_pieces import Box
from .pdf_repair import with_new_end
from .pdf_runs import page_pieces
from .pdf_tree import attempt, quiet

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument, PdfiumError, PdfPage

# A page with fewer words, most of it covered by pictures, is a scan; a picture in strips counts as one.
_FEWEST_WORDS = 25
_COVERED = 0.6
_MOST_OBJECTS = 2000
_FORM_DEPTH = 3
# Pixels of a page that is drawn for recognition: more is no page of paper.
_MOST_PIXELS = 60_000_000
# Above this share of runs without a known letter, the text of a page is none.
_UNKNOWN = 0.5
_WORD = re.compile(r"[^\W_]+")


class PdfiumPages:
    """A PDF that is open in pdfium.

    Attributes:
        extractor: Name and version.
        total: Pages in the file.
        repaired: Whether the file had to be given a new end.
    """

    def __init__(self, data: bytes, name: str, password: str | None) -> None:
        """Open a PDF.

        Raises:
            Locked: If it is encrypted and the password does not open it.
            InputError: If it cannot be opened, or has no pages.
        """
        from pypdfium2 import PYPDFIUM_INFO

        self.extractor = f"pypdfium2 {PYPDFIUM_INFO}"
        with quiet("pypdfium2"):
            self._pdf, self.repaired = _open(data, name, password)
            self.total = len(self._pdf)
            # Fields of a form have values only with this.
            attempt(self._pdf.init_forms)
        if self.total == 0:
            raise InputError(f"{name} has no pages", REPAIR_HINT)

    def page(self, number: int) -> PageText:
        """The text of a page, counted from 1."""
        with quiet("pypdfium2"):
            page = attempt(lambda: self._pdf[number - 1])
            if page is None:
                return PageText(None)
            try:
                return attempt(lambda: _read(self._pdf, page)) or PageText(None)
            finally:
                page.close()

    def picture(self, number: int, resolution: int) -> Image:
        """A page as a grey picture.

        Args:
            number: Of the page, counted from 1.
            resolution: In dots per inch; less for a page that would have too many of them.
        """
        with quiet("pypdfium2"):
            page = self._pdf[number - 1]
            try:
                width, height = page.get_size()
                scale = min(resolution / 72, (_MOST_PIXELS / max(width * height, 1.0)) ** 0.5)
                picture: Image = page.render(scale=scale, grayscale=True).to_pil()
                return picture
            finally:
                page.close()

    def outline(self) -> tuple[Bookmark, ...]:
        """The bookmarks, in order; what can be read of them."""
        with quiet("pypdfium2"):
            return tuple(attempt(lambda: _outline(self._pdf)) or ())

    def labels(self) -> dict[int, str]:
        """Page numbers as they are printed, where the file tells."""
        with quiet("pypdfium2"):
            found = {
                number: attempt(partial(self._pdf.get_page_label, number - 1)) for number in range(1, self.total + 1)
            }
        return {number: label.strip() for number, label in found.items() if label and label.strip()}

    def close(self) -> None:
        """Let go of the file."""
        self._pdf.close()


def _open(data: bytes, name: str, password: str | None) -> tuple[PdfDocument, bool]:
    from pypdfium2 import PdfDocument, PdfiumError, raw

    for word in dict.fromkeys((None, password)):
        try:
            return PdfDocument(data, password=word), False
        except PdfiumError as error:
            failure = error
            if error.err_code != raw.FPDF_ERR_PASSWORD:
                break
    if failure.err_code == raw.FPDF_ERR_PASSWORD:
        raise Locked
    if failure.err_code == raw.FPDF_ERR_SECURITY:
        raise InputError(
            f"{name} is protected in a way that cannot be opened",
            "Open it in a PDF viewer and print it to a new PDF.",
        )
    mended = with_new_end(data)
    pdf = None if mended is None else attempt(lambda: PdfDocument(mended))
    if pdf is None:
        raise _unreadable(name, failure) from failure
    return pdf, True


def _read(pdf: PdfDocument, page: PdfPage) -> PageText:
    crop = _shown(page)
    text_page = page.get_textpage()
    try:
        pieces, unknown = page_pieces(text_page, crop)
    finally:
        text_page.close()
    words = sum(len(_WORD.findall(piece.text)) for piece in pieces)
    lines, reordered = page_lines(with_annotations(pdf, page, pieces, crop))
    scan = words < _FEWEST_WORDS and _picture_share(page, crop) >= _COVERED
    return PageText(tuple(lines), reordered, scan, garbled=unknown > _UNKNOWN)


def _shown(page: PdfPage) -> Box:
    """The part of a page that is shown."""
    media, crop = page.get_mediabox(), page.get_cropbox()
    box = (max(media[0], crop[0]), max(media[1], crop[1]), min(media[2], crop[2]), min(media[3], crop[3]))
    return box if box[0] < box[2] and box[1] < box[3] else media


def _picture_share(page: PdfPage, crop: Box) -> float:
    """The share of a page that pictures cover, by their boxes."""
    from pypdfium2 import raw

    covered = 0.0
    for number, item in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=_FORM_DEPTH)):
        if number >= _MOST_OBJECTS:
            break
        left, bottom, right, top = item.get_bounds()
        width = max(0.0, min(right, crop[2]) - max(left, crop[0]))
        covered += width * max(0.0, min(top, crop[3]) - max(bottom, crop[1]))
    return covered / ((crop[2] - crop[0]) * (crop[3] - crop[1]))


def _outline(pdf: PdfDocument) -> list[Bookmark]:
    items = []
    for bookmark in pdf.get_toc():
        target = bookmark.get_dest()
        index = None if target is None else target.get_index()
        if title := " ".join(bookmark.get_title().split()):
            items.append(Bookmark(title, bookmark.level + 1, None if index is None else index + 1, _top(target)))
    return items


def _top(target: Any) -> float | None:
    """Height that a bookmark points to."""
    from pypdfium2 import raw

    if target is None:
        return None
    view, position = attempt(target.get_view) or (None, ())
    place = {raw.PDFDEST_VIEW_XYZ: 1, raw.PDFDEST_VIEW_FITH: 0, raw.PDFDEST_VIEW_FITBH: 0, raw.PDFDEST_VIEW_FITR: 3}
    number = place.get(view, -1)
    return position[number] if 0 <= number < len(position) else None


def _unreadable(name: str, error: PdfiumError) -> InputError:
    from pypdfium2 import raw

    if error.err_code == raw.FPDF_ERR_SUCCESS:
        return InputError(f"{name} has no pages", REPAIR_HINT)
    return InputError(f"{name} is damaged and cannot be opened as a PDF: {error}", REPAIR_HINT)
