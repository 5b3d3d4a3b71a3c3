"""From a PDF to a document: backends take the text out, the clean-up makes paragraphs of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import accumulate

from ..errors import InputError
from .chapter_lines import is_chapter_heading, numeral_headings
from .clean import Cleaned, CleanReport, clean_pages
from .extracted import REPAIR_HINT, Extracted, Locked
from .isolation import Isolation
from .model import Block, Document, OutlineItem
from .ocr import chosen_language
from .pages import PageSelection, count_pages, name_pages
from .pdf_reading import extract

_OCR_HINT = "Recognise its text: pip install 'infini[ocr]', or first run: ocrmypdf FILE with-text.pdf"
_PASSWORD_TRIES = 3


def read_pdf(
    data: bytes,
    name: str,
    sha256: str,
    *,
    selection: PageSelection | None = None,
    password: str | None = None,
    ask_password: Callable[[str], str] | None = None,
    backend: str = "pdfium",
    ocr: str = "auto",
    isolation: Isolation | None = None,
    heard: Callable[[int, int], None] | None = None,
) -> Document:
    """Read the text of a PDF.

    Args:
        data: The file, from its header on.
        name: Its name as shown to people.
        sha256: Digest of the source, for the record.
        selection: Pages to read; all if None.
        password: Password of an encrypted file.
        ask_password: Called with `name` for the password if the file needs one and none was given.
        backend: `pdfium` or `pypdf`: the one that is asked first; a page that it does not read well is the other's.
        ocr: `auto`, `off` or a language, as `ocr.chosen_language` takes it.
        isolation: Bounds of the process that the file is parsed in; this process, without bounds, if None.
        heard: Called after each page with how many of how many have been read.

    Raises:
        InputError: If it cannot be opened, no page can be read, or no page has text.
        UsageFailure: If the selection lies outside the document.
    """
    language = chosen_language(ocr, name)

    def read(word: str | None) -> Extracted:
        request = {
            "name": name,
            "selection": None if selection is None else str(selection),
            "password": word,
            "backend": backend,
            "ocr": language,
        }
        return extract(data, request, isolation, heard)

    return _document(_unlocked(read, name, password, ask_password), name, sha256, selection)


def _document(extracted: Extracted, name: str, sha256: str, selection: PageSelection | None) -> Document:
    """What was extracted, cleaned up."""
    texts = [
        (number, () if page.garbled else page.lines)
        for number in extracted.chosen
        if (page := extracted.pages.get(number)) is not None and page.lines is not None
    ]
    cleaned = clean_pages(
        texts,
        bookmarks=extracted.outline,
        chapters=_going_on(extracted),
        labels=extracted.labels,
        scans=extracted.numbers("scan"),
    )
    # After the clean-up: a scanned page may have nothing but a running head in letters.
    empty = [number for (number, _), paragraphs in zip(texts, cleaned.paragraphs, strict=True) if not paragraphs]
    if not any(cleaned.paragraphs):
        raise _without_text(name, extracted)
    notes = _notes(extracted, empty, cleaned.report, selection)
    return Document(
        name=name,
        kind="pdf",
        sha256=sha256,
        blocks=_blocks([number for number, _ in texts], cleaned, extracted),
        pages=extracted.total,
        pages_read=len(extracted.chosen) - len(extracted.failed),
        empty_pages=tuple(empty),
        failed_pages=tuple(extracted.failed),
        recognised_pages=tuple(extracted.numbers("recognised")),
        extractor=extracted.extractor,
        encoding=None,
        notes=tuple(notes),
        outline=tuple(OutlineItem(item.title, item.level, item.page) for item in extracted.outline),
        clean_up=cleaned.report.counts() | {"reordered_pages": len(extracted.numbers("reordered"))},
    )


def _unlocked(
    read: Callable[[str | None], Extracted],
    name: str,
    password: str | None,
    ask_password: Callable[[str], str] | None,
) -> Extracted:
    """What a file gives, opened with the password given, or asked for."""
    try:
        return read(password)
    except Locked:
        if password is not None:
            raise InputError(
                f"the password for {name} is wrong", "Check the password in INFINI_PDF_PASSWORD."
            ) from None
    if ask_password is None:
        raise InputError(f"{name} is encrypted", "Set INFINI_PDF_PASSWORD to its password.")
    for _ in range(_PASSWORD_TRIES):
        try:
            return read(ask_password(name))
        except Locked:
            continue
    raise InputError(f"the password for {name} is wrong", "Ask whoever sent the file for its password.")


def _going_on(extracted: Extracted) -> dict[int, str]:
    """For every page on which no entry of the outline begins, the title of the one that goes on there."""
    begun = {item.page: item.title for item in extracted.outline if item.page is not None}
    titles: dict[int, str] = {}
    title: str | None = None
    for number in range(1, extracted.total + 1):
        if number in begun:
            title = begun[number]
        elif title is not None:
            titles[number] = title
    return titles


def _blocks(numbers: list[int], cleaned: Cleaned, extracted: Extracted) -> tuple[Block, ...]:
    outline = sorted(
        ((item.page, item.title) for item in extracted.outline if item.page is not None), key=lambda entry: entry[0]
    )
    starts = [page for page, _ in outline]
    opened = {} if outline or cleaned.titles else _opened(cleaned.paragraphs)
    blocks: list[Block] = []
    heading: str | None = None
    for page, (number, texts) in enumerate(zip(numbers, cleaned.paragraphs, strict=True)):
        if outline:
            index = bisect_left(starts, number) - 1
            heading = outline[index][1] if index >= 0 else None
        for paragraph, text in enumerate(texts):
            heading = cleaned.titles.get((page, paragraph), opened.get(len(blocks), heading))
            blocks.append(Block(text, number, heading, extracted.labels.get(number)))
    return tuple(blocks)


def _opened(pages: list[list[str]]) -> Mapping[int, str]:
    """Number of a paragraph, counted through all pages, to the heading of the chapter that it opens."""
    flat = [text for texts in pages for text in texts]
    ends = set(accumulate(map(len, pages)))
    # A numeral at the foot of a page is its number.
    by_numeral = numeral_headings([[""] if number + 1 in ends else [text] for number, text in enumerate(flat)])
    return by_numeral | {number: text for number, text in enumerate(flat) if is_chapter_heading(text)}


def _notes(extracted: Extracted, empty: list[int], report: CleanReport, selection: PageSelection | None) -> list[str]:
    notes = []
    if selection is not None and (beyond := selection.beyond(extracted.total)):
        notes.append(f"the document has {count_pages(extracted.total)}; there is nothing at {beyond}")
    scans, garbled = extracted.numbers("scan"), extracted.numbers("garbled")
    if scans:
        notes.append(f"{name_pages(scans)} {_are(scans, 'a scan', 'scans')}: the text in the picture needs OCR")
    if garbled:
        notes.append(f"the letters on {name_pages(garbled)} cannot be told: the text there needs OCR")
    if nothing := [number for number in empty if number not in scans and number not in garbled]:
        notes.append(f"no text on {name_pages(nothing)}")
    if recognised := extracted.numbers("recognised"):
        notes.append(f"the text of {name_pages(recognised)} was recognised by OCR and may have wrong letters")
    stopped = extracted.numbers("stopped")
    if failed := [number for number in extracted.failed if number not in stopped]:
        notes.append(f"{name_pages(failed)} could not be read: the file is damaged")
    if stopped:
        notes.append(f"{name_pages(stopped)} could not be read: it takes too much time or memory")
    if partial := extracted.numbers("partial"):
        notes.append(f"{name_pages(partial)} may be incomplete: the file is damaged")
    if report.lines_removed:
        lines = "1 line" if report.lines_removed == 1 else f"{report.lines_removed} lines"
        notes.append(f"left out {lines} of running heads and page numbers")
    if extracted.repaired:
        notes.append("the file is cut short or its index is damaged: more pages may be missing at its end")
    return notes


def _are(pages: list[int], one: str, many: str) -> str:
    return f"is {one}" if len(pages) == 1 else f"are {many}"


def _without_text(name: str, extracted: Extracted) -> InputError:
    failed, stopped = extracted.failed, extracted.numbers("stopped")
    if not failed:
        if extracted.numbers("garbled"):
            return InputError(f"{name} does not tell what its letters are: it needs OCR", _OCR_HINT)
        return InputError(f"{name} has no text, only images or empty pages: it needs OCR", _OCR_HINT)
    if stopped:
        return InputError(
            f"{name} takes too much time or memory: {name_pages(stopped)} could not be read",
            "It may be damaged or made to do harm: print it to a new PDF in a viewer, or choose other --pages.",
        )
    if len(failed) == len(extracted.chosen):
        return InputError(f"{name} is damaged: none of its pages could be read", REPAIR_HINT)
    return InputError(
        f"{name} is damaged: {name_pages(failed)} could not be read, and the others have no text",
        f"{REPAIR_HINT} Pages without text need OCR: ocrmypdf FILE with-text.pdf",
    )
