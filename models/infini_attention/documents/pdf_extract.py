"""The pages of a PDF, each from the backend that reads it better, as messages that a worker process can send.

The first message tells of the file, every other one of a page: so a page that takes too much costs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol

from ..errors import InputError
from .extracted import Bookmark, Extracted, PageText
from .legibility import garbage
from .letters import normalise, with_accents
from .ocr import recognise
from .page_lines import PageLine
from .pages import PageSelection
from .pdf_streams import soundness
from .pdf_tree import attempt

# Above the first share of garbage the other backend is asked; above the second, what is left is no text.
_SUSPICIOUS = 0.1
_NO_TEXT = 0.4
_BETTER = 0.5

Message = Mapping[str, Any]


class Pages(Protocol):
    """A PDF that is open in a backend."""

    extractor: str
    total: int
    repaired: bool

    def page(self, number: int) -> PageText:
        """The text of a page, counted from 1."""

    def outline(self) -> tuple[Bookmark, ...]:
        """The bookmarks."""

    def labels(self) -> dict[int, str]:
        """Page numbers as they are printed."""

    def close(self) -> None:
        """Let go of the file."""


def messages(data: bytes, request: Mapping[str, Any]) -> Iterator[Message]:
    """Read a PDF.

    Args:
        data: The file, from its header on.
        request: `name` as shown to people; `selection` of pages, as text, or None; `password` or None; `backend`, the
            one that is asked first; `ocr`, language to recognise pictures of text in, or None; `skip`, pages to leave
            out; `avoid`, a backend not to be used, or None.

    Raises:
        Locked: If the file is encrypted and the password does not open it.
        InputError: If no backend can open it.
        UsageFailure: If the selection lies outside the document.
    """
    pair = _Pair(data, request)
    try:
        first = pair.first
        total = first.total
        selection = None if request["selection"] is None else PageSelection.parse(request["selection"])
        chosen = selection.resolve(total) if selection is not None else tuple(range(1, total + 1))
        labels = first.labels()
        yield {
            "extractor": first.extractor,
            "total": total,
            "chosen": list(chosen),
            "outline": [asdict(item) for item in pair.outline()],
            "labels": {str(number): labels[number] for number in chosen if number in labels},
            "repaired": pair.repaired,
        }
        skipped = set(request["skip"])
        for number in chosen:
            if number not in skipped:
                yield _message(number, pair.page(number))
    finally:
        pair.close()


def add_message(extracted: Extracted | None, message: Message) -> Extracted:
    """Take in what `messages` gave."""
    if extracted is None:
        return Extracted(
            message["extractor"],
            message["total"],
            tuple(message["chosen"]),
            outline=tuple(_named(Bookmark(**item)) for item in message["outline"]),
            labels={int(number): normalise(label)[0] for number, label in message["labels"].items()},
            repaired=message["repaired"],
        )
    if "number" in message:
        lines = message["lines"]
        extracted.pages[message["number"]] = PageText(
            None if lines is None else tuple(PageLine(*line) for line in lines), **message["flags"]
        )
    return extracted


def _named(bookmark: Bookmark) -> Bookmark:
    """A bookmark whose title is one line of letters that can be seen."""
    return replace(bookmark, title=" ".join(normalise(bookmark.title)[0].split()) or "\u2026")


def _message(number: int, page: PageText) -> Message:
    flags = ("reordered", "scan", "garbled", "recognised", "partial")
    return {
        "number": number,
        "lines": None
        if page.lines is None
        else [(line.text, line.top, line.size, line.bold, line.row) for line in page.lines],
        "flags": {flag: getattr(page, flag) for flag in flags},
    }


class _Pair:
    """Both backends on one file, the second opened where it is needed."""

    def __init__(self, data: bytes, request: Mapping[str, Any]) -> None:
        from .pdf_pdfium import PdfiumPages
        from .pdf_pypdf import PypdfPages

        self.ocr: str | None = request["ocr"]
        self.pypdf: PypdfPages | None = None
        self.pdfium: PdfiumPages | None = None
        openings: dict[str, Callable[[], Pages]] = {
            "pdfium": lambda: PdfiumPages(data, request["name"], request["password"]),
            "pypdf": lambda: PypdfPages(data, request["name"], request["password"]),
        }
        names = sorted(openings, key=lambda name: name != request["backend"])
        self._closed = [openings[name] for name in names if name != request["avoid"]]
        self._failures: list[InputError] = []
        self.opened: list[Pages] = []
        while self._closed and not self.opened:
            self._open()
        if not self.opened:
            raise self._failures[0]
        self.first = self.opened[0]
        known = soundness(data) if self.pdfium is not None and not self.pdfium.repaired else None
        self._whole = known is not None and known.sound
        self._may_have_outline = known is None or known.outline or not known.sound
        if not self._whole:
            # Only pypdf tells what a page lost.
            self.all()

    def _open(self) -> None:
        from .pdf_pdfium import PdfiumPages
        from .pdf_pypdf import PypdfPages

        try:
            pages = self._closed.pop(0)()
        except InputError as error:
            self._failures.append(error)
            return
        self.opened.append(pages)
        if isinstance(pages, PypdfPages):
            self.pypdf = pages
        elif isinstance(pages, PdfiumPages):
            self.pdfium = pages

    def all(self) -> list[Pages]:
        """Every backend that opens the file; the one that was asked for first."""
        while self._closed:
            self._open()
        return self.opened

    @property
    def repaired(self) -> bool:
        """Whether the file was cut short, or its index is damaged."""
        return self.first.repaired or (self.pypdf is not None and self.pypdf.repaired)

    def page(self, number: int) -> PageText:
        """The better text of a page, or what is recognised in its picture."""
        page = self._better(number)
        whole = self._whole or self.pypdf is None or self.pypdf.is_whole(number)
        if page.lines is not None and not whole:
            page = replace(page, partial=True) if page.text.strip() else PageText(None)
        unread = page.lines is not None and (page.scan or page.garbled or not page.text.strip())
        if unread and self.ocr is not None and self.pdfium is not None:
            pdfium, language = self.pdfium, self.ocr
            if lines := attempt(lambda: recognise(pdfium, number, language)):
                return PageText(tuple(lines), recognised=True)
        return page

    def _better(self, number: int) -> PageText:
        page = self.first.page(number)
        rating = _rating(page)
        if rating > _SUSPICIOUS:
            for other in self.all()[1:]:
                second = other.page(number)
                if _rating(second) < _BETTER * rating:
                    page, rating = replace(second, scan=page.scan), _rating(second)
        if page.lines is not None and rating > _NO_TEXT:
            page = replace(page, garbled=True)
        elif page.garbled:
            page = replace(page, garbled=rating > _SUSPICIOUS)
        return page

    def outline(self) -> tuple[Bookmark, ...]:
        """The bookmarks, from the backend that knows more of their pages: a damaged page is not nowhere to both."""
        best = self.first.outline()
        if any(item.page is None for item in best) or (not best and self._may_have_outline):
            for other in self.all()[1:]:
                found = other.outline()
                if _known(found) > _known(best):
                    best = found
        return best

    def close(self) -> None:
        for pages in self.opened:
            attempt(pages.close)


def _known(outline: tuple[Bookmark, ...]) -> int:
    return sum(1 for item in outline if item.page is not None)


def _rating(page: PageText) -> float:
    """How bad a page's text is; above 1 where there is none to be had."""
    return 2.0 if page.lines is None else garbage(with_accents(page.text))


__all__ = ["Message", "add_message", "messages"]
