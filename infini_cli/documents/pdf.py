"""PDF files: every page that can be read, and the names of those that cannot."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from infini_cli.documents.chapters import is_chapter_heading
from infini_cli.documents.clean import CleanReport, clean_pages
from infini_cli.documents.model import Block, Document
from infini_cli.documents.pages import PageSelection, count_pages, name_pages
from infini_cli.documents.pdf_repair import with_new_end
from infini_cli.documents.pdf_tree import Leaf, attempt, page_tree, quiet_pypdf, text_of_page
from infini_cli.errors import CliError, InputError

if TYPE_CHECKING:
    from pypdf import PdfReader

_REPAIR_HINT = "Try to repair the file, for example with: qpdf --replace-input FILE, or download it again."
_PASSWORD_TRIES = 3


@dataclass
class _Extracted:
    """What came out of the chosen pages: their texts, and page numbers of the ones with something amiss."""

    texts: list[tuple[int, str]]
    failed: list[int]
    partial: list[int]


def read_pdf(
    data: bytes,
    name: str,
    sha256: str,
    *,
    selection: PageSelection | None = None,
    password: str | None = None,
    ask_password: Callable[[str], str] | None = None,
) -> Document:
    """Read the text of a PDF.

    Args:
        data: The file, from its header on.
        name: Its name as shown to people.
        sha256: Digest of the source, for the record.
        selection: Pages to read; all if None.
        password: Password of an encrypted file.
        ask_password: Called with `name` for the password if the file needs one and none was given.

    Raises:
        InputError: If it cannot be opened, no page can be read, or no page has text.
        UsageFailure: If the selection lies outside the document.
    """
    import pypdf

    with quiet_pypdf():
        reader, repaired = _open(data, name)
        _unlock(reader, name, password, ask_password)
        try:
            leaves = page_tree(reader)
        except Exception as error:
            raise InputError(f"{name} is damaged and its pages cannot be found", _REPAIR_HINT) from error
        total = len(leaves)
        if total == 0:
            raise InputError(f"{name} has no pages", _REPAIR_HINT)
        chosen = selection.resolve(total) if selection is not None else tuple(range(1, total + 1))
        extracted = _extract(leaves, chosen)
        outline = _outline(reader, leaves)

    paragraphs, report = clean_pages(extracted.texts, _going_on(outline, total))
    # After the clean-up: a scanned page may have nothing but a running head in letters.
    empty = [number for (number, _), texts in zip(extracted.texts, paragraphs, strict=True) if not texts]
    if not any(paragraphs):
        raise _without_text(name, extracted)
    blocks = _blocks([number for number, _ in extracted.texts], paragraphs, outline)
    notes = _notes(extracted, empty, report)
    if repaired:
        notes.append("the file is cut short or its index is damaged: more pages may be missing at its end")
    if selection is not None and (beyond := selection.beyond(total)):
        notes.insert(0, f"the document has {count_pages(total)}; there is nothing at {beyond}")
    return Document(
        name=name,
        kind="pdf",
        sha256=sha256,
        blocks=blocks,
        pages=total,
        pages_read=len(chosen) - len(extracted.failed),
        empty_pages=tuple(empty),
        failed_pages=tuple(extracted.failed),
        extractor=f"pypdf {pypdf.__version__}",
        encoding=None,
        notes=tuple(notes),
    )


def _open(data: bytes, name: str) -> tuple[PdfReader, bool]:
    """A reader for the file, and whether the file had to be given a new end."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    try:
        return PdfReader(BytesIO(data)), False
    except DependencyError:
        raise _without_cryptography(name) from None
    except NotImplementedError as error:
        raise InputError(
            f"{name} is protected in a way that cannot be opened: {error}",
            "Open it in a PDF viewer and print it to a new PDF.",
        ) from None
    except Exception as error:
        mended = with_new_end(data)
        reader = None if mended is None else attempt(lambda: PdfReader(BytesIO(mended)))
        if reader is None:
            reason = f"{name} is damaged and cannot be opened as a PDF: {error}"
            raise InputError(reason, _REPAIR_HINT) from error
        return reader, True


def _unlock(reader: PdfReader, name: str, password: str | None, ask_password: Callable[[str], str] | None) -> None:
    if not reader.is_encrypted or _opens(reader, name, ""):
        return
    if password is None and ask_password is None:
        raise InputError(f"{name} is encrypted", "Set INFINI_PDF_PASSWORD to its password.")
    if password is not None:
        if _opens(reader, name, password):
            return
        raise InputError(f"the password for {name} is wrong", "Check the password in INFINI_PDF_PASSWORD.")
    assert ask_password is not None
    for _ in range(_PASSWORD_TRIES):
        if _opens(reader, name, ask_password(name)):
            return
    raise InputError(f"the password for {name} is wrong", "Ask whoever sent the file for its password.")


def _opens(reader: PdfReader, name: str, password: str) -> bool:
    from pypdf import PasswordType
    from pypdf.errors import DependencyError

    try:
        return reader.decrypt(password) != PasswordType.NOT_DECRYPTED
    except DependencyError:
        raise _without_cryptography(name) from None
    except UnicodeError:
        return False
    except Exception as error:
        raise InputError(f"{name} is damaged and cannot be decrypted: {error}", _REPAIR_HINT) from error


def _extract(leaves: list[Leaf], chosen: tuple[int, ...]) -> _Extracted:
    extracted = _Extracted([], [], [])
    for number in chosen:
        page = leaves[number - 1].page
        text, whole = (None, False) if page is None else text_of_page(page)
        if text is None or not (text.strip() or whole):
            extracted.failed.append(number)
            continue
        extracted.texts.append((number, text))
        if not whole:
            extracted.partial.append(number)
    return extracted


def _outline(reader: PdfReader, leaves: list[Leaf]) -> list[tuple[int, str]]:
    """Page number and title of the outline's entries, by page; what can be read of it."""
    numbers = {leaf.number: number for number, leaf in enumerate(leaves, 1) if leaf.number is not None}
    entries: list[tuple[int, str]] = []

    def walk(items: list[Any]) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item)
                continue
            number = numbers.get(getattr(item.page, "idnum", -1))
            title = " ".join(str(item.title or "").split())
            if number is not None and title:
                entries.append((number, title))

    # A broken outline costs headings only: the text is worth having without it.
    attempt(lambda: walk(list(reader.outline)))
    return sorted(entries, key=lambda entry: entry[0])


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


def _blocks(numbers: list[int], paragraphs: list[list[str]], outline: list[tuple[int, str]]) -> tuple[Block, ...]:
    starts = [page for page, _ in outline]
    blocks: list[Block] = []
    heading: str | None = None
    for number, texts in zip(numbers, paragraphs, strict=True):
        if outline:
            index = bisect_right(starts, number) - 1
            heading = outline[index][1] if index >= 0 else None
        for text in texts:
            if not outline and is_chapter_heading(text):
                heading = text
            blocks.append(Block(text, number, heading))
    return tuple(blocks)


def _notes(extracted: _Extracted, empty: list[int], report: CleanReport) -> list[str]:
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


def _without_text(name: str, extracted: _Extracted) -> InputError:
    if not extracted.failed:
        return InputError(
            f"{name} has no text, only images or empty pages: it needs OCR",
            "Recognise its text first, for example with: ocrmypdf FILE with-text.pdf",
        )
    if not extracted.texts:
        return InputError(f"{name} is damaged: none of its pages could be read", _REPAIR_HINT)
    return InputError(
        f"{name} is damaged: {name_pages(extracted.failed)} could not be read, and the others have no text",
        f"{_REPAIR_HINT} Pages without text need OCR: ocrmypdf FILE with-text.pdf",
    )


def _without_cryptography(name: str) -> CliError:
    return InputError(
        f"{name} is encrypted with AES, which needs the package cryptography",
        "Install it: pip install cryptography",
    )
