"""From a PDF to a document: a backend takes the text out, the clean-up makes paragraphs of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate

from ..errors import InputError
from .chapters import is_chapter_heading, numeral_headings
from .clean import CleanReport, clean_pages
from .extracted import REPAIR_HINT, Extracted
from .model import Block, Document
from .pages import PageSelection, count_pages, name_pages


def read_pdf(
    data: bytes,
    name: str,
    sha256: str,
    *,
    selection: PageSelection | None = None,
    password: str | None = None,
    ask_password: Callable[[str], str] | None = None,
    backend: str = "pypdf",
) -> Document:
    """Read the text of a PDF.

    Args:
        data: The file, from its header on.
        name: Its name as shown to people.
        sha256: Digest of the source, for the record.
        selection: Pages to read; all if None.
        password: Password of an encrypted file.
        ask_password: Called with `name` for the password if the file needs one and none was given.
        backend: `pypdf` or `pdfium`.

    Raises:
        InputError: If it cannot be opened, no page can be read, or no page has text.
        UsageFailure: If the selection lies outside the document.
    """
    if backend == "pdfium":
        from .pdf_pdfium import extract
    else:
        from .pdf_pypdf import extract

    extracted = extract(data, name, selection=selection, password=password, ask_password=ask_password)
    by_page = sorted(
        ((item.page, item.title) for item in extracted.outline if item.page is not None), key=lambda entry: entry[0]
    )
    paragraphs, report = clean_pages(extracted.texts, _going_on(by_page, extracted.total), extracted.labels)
    # After the clean-up: a scanned page may have nothing but a running head in letters.
    empty = [number for (number, _), texts in zip(extracted.texts, paragraphs, strict=True) if not texts]
    if not any(paragraphs):
        raise _without_text(name, extracted)
    notes = _notes(extracted, empty, report)
    if extracted.repaired:
        notes.append("the file is cut short or its index is damaged: more pages may be missing at its end")
    if selection is not None and (beyond := selection.beyond(extracted.total)):
        notes.insert(0, f"the document has {count_pages(extracted.total)}; there is nothing at {beyond}")
    return Document(
        name=name,
        kind="pdf",
        sha256=sha256,
        blocks=_blocks([number for number, _ in extracted.texts], paragraphs, by_page, extracted.labels),
        pages=extracted.total,
        pages_read=len(extracted.chosen) - len(extracted.failed),
        empty_pages=tuple(empty),
        failed_pages=tuple(extracted.failed),
        extractor=extracted.extractor,
        encoding=None,
        notes=tuple(notes),
        outline=tuple(extracted.outline),
        clean_up=report.counts() | {"reordered_pages": len(extracted.reordered)},
    )


def _going_on(outline: list[tuple[int, str]], total: int) -> dict[int, str]:
    """For every page on which no entry of the outline begins, the title of the one that goes on there."""
    begun: dict[int, str] = dict(outline)
    titles: dict[int, str] = {}
    title: str | None = None
    for number in range(1, total + 1):
        if number in begun:
            title = begun[number]
        elif title is not None:
            titles[number] = title
    return titles


def _blocks(
    numbers: list[int], paragraphs: list[list[str]], outline: list[tuple[int, str]], labels: Mapping[int, str]
) -> tuple[Block, ...]:
    starts = [page for page, _ in outline]
    opened = {} if outline else _opened(paragraphs)
    blocks: list[Block] = []
    heading: str | None = None
    for number, texts in zip(numbers, paragraphs, strict=True):
        if outline:
            index = bisect_right(starts, number) - 1
            heading = outline[index][1] if index >= 0 else None
        for text in texts:
            heading = opened.get(len(blocks), heading)
            blocks.append(Block(text, number, heading, labels.get(number)))
    return tuple(blocks)


def _opened(pages: list[list[str]]) -> dict[int, str]:
    """Number of a paragraph, counted through all pages, to the heading of the chapter that it opens."""
    flat = [text for texts in pages for text in texts]
    ends = set(accumulate(map(len, pages)))
    # A numeral at the foot of a page is its number.
    by_numeral = numeral_headings([[""] if number + 1 in ends else [text] for number, text in enumerate(flat)])
    return by_numeral | {number: text for number, text in enumerate(flat) if is_chapter_heading(text)}


def _notes(extracted: Extracted, empty: list[int], report: CleanReport) -> list[str]:
    notes = []
    if empty:
        notes.append(f"no text on {name_pages(empty)}")
    if extracted.failed:
        notes.append(f"{name_pages(extracted.failed)} could not be read: the file is damaged")
    if extracted.partial:
        notes.append(f"{name_pages(extracted.partial)} may be incomplete: the file is damaged")
    if report.lines_removed:
        lines = "1 line" if report.lines_removed == 1 else f"{report.lines_removed} lines"
        notes.append(f"left out {lines} of running heads and page numbers")
    return notes


def _without_text(name: str, extracted: Extracted) -> InputError:
    if not extracted.failed:
        return InputError(
            f"{name} has no text, only images or empty pages: it needs OCR",
            "Recognise its text first, for example with: ocrmypdf FILE with-text.pdf",
        )
    if not extracted.texts:
        return InputError(f"{name} is damaged: none of its pages could be read", REPAIR_HINT)
    return InputError(
        f"{name} is damaged: {name_pages(extracted.failed)} could not be read, and the others have no text",
        f"{REPAIR_HINT} Pages without text need OCR: ocrmypdf FILE with-text.pdf",
    )
