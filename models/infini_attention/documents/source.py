"""One entry for every source: a file or standard input, its type told by its content."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError, UsageFailure
from .isolation import Isolation
from .language import language_of, stemmer_of
from .markup import markup_kind, read_markup, refuse_large
from .model import Document, Kind
from .pages import PageSelection
from .text import decode, looks_like_markdown, markdown_outline, split_blocks, without_control

_HEADER = re.compile(rb"%PDF-[0-9]")
_HEADER_WITHIN = 1024
BOUNDS = Isolation()
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def load_document(
    source: str,
    *,
    pages: PageSelection | None = None,
    password: str | None = None,
    ask_password: Callable[[str], str] | None = None,
    backend: str = "pdfium",
    ocr: str = "auto",
    stdin: BinaryIO | None = None,
    isolation: Isolation | None = BOUNDS,
    heard: Callable[[int, int], None] | None = None,
) -> Document:
    """Read one document.

    Args:
        source: Path of a file, or `-` for standard input.
        pages: Pages of a PDF to read; all if None.
        password: Password of an encrypted PDF.
        ask_password: Called with the document's name for the password of an encrypted PDF if none was given.
        backend: What is asked first for the text of a PDF, `pdfium` or `pypdf`.
        ocr: Whether text is recognised in pictures of pages: `auto`, where the extra `ocr` is installed, `off`, or a
            language as Tesseract names it.
        stdin: Binary stream read for `-`; the process's own if None.
        isolation: Bounds of the process that a PDF, a book or a web page is parsed in; this process, without bounds, if
            None.
        heard: Called after each page of a PDF with how many of how many have been read.

    Raises:
        InputError: If the source cannot be read or has no text.
        UsageFailure: If `pages` selects nothing of the document, or it has no pages.
    """
    document = _load(source, pages, password, ask_password, backend, ocr, stdin, isolation, heard)
    language = language_of(document.text)
    notes = document.notes
    if language is not None and stemmer_of(language) is None:
        unknown = f"the text seems to be in the language '{language}', of which no stems are known"
        notes = (*notes, f"{unknown}: words are found only as they are written")
    return replace(document, language=language, notes=notes)


def _load(
    source: str,
    pages: PageSelection | None,
    password: str | None,
    ask_password: Callable[[str], str] | None,
    backend: str,
    ocr: str,
    stdin: BinaryIO | None,
    isolation: Isolation | None,
    heard: Callable[[int, int], None] | None,
) -> Document:
    if source == "-":
        name, data = "stdin", (sys.stdin.buffer if stdin is None else stdin).read()
    else:
        name, data = _shown(Path(source).name or source), _read_file(source)
    if not data:
        raise InputError(f"{name} is empty", _empty_hint(source))
    digest = hashlib.sha256(data).hexdigest()
    start = _pdf_start(data)
    if start is not None:
        from .pdf import read_pdf

        return read_pdf(
            data[start:],
            name,
            digest,
            selection=pages,
            password=password,
            ask_password=ask_password,
            backend=backend,
            ocr=ocr,
            isolation=isolation,
            heard=heard,
        )
    kind = markup_kind(data, name)
    if pages is not None:
        raise UsageFailure(f"{name} is not a PDF and has no pages to select", "Leave --pages out.")
    return _read_text(data, name, digest, source) if kind is None else read_markup(data, name, digest, kind, isolation)


def _shown(name: str) -> str:
    """A file's name as text that can be written anywhere; bytes in it that are no UTF-8 are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _read_text(data: bytes, name: str, digest: str, source: str) -> Document:
    decoded = decode(data, name)
    if not decoded.text.strip():
        raise InputError(f"{name} has no text, only white space", _empty_hint(source))
    text, removed = without_control(decoded.text)
    kind: Kind = "markdown" if looks_like_markdown(text, name) else "text"
    notes = []
    if decoded.guessed_by is not None:
        notes.append(f"the encoding is a guess: {decoded.encoding}")
    if decoded.replaced:
        places = "1 place is" if decoded.replaced == 1 else f"{decoded.replaced} places are"
        notes.append(f"{places} not valid {decoded.encoding} and read as \N{REPLACEMENT CHARACTER}")
    if removed:
        notes.append(f"took out {removed} control {'character' if removed == 1 else 'characters'}")
    return Document(
        name=name,
        kind=kind,
        sha256=digest,
        blocks=split_blocks(text, kind),
        pages=None,
        pages_read=None,
        empty_pages=(),
        failed_pages=(),
        extractor=decoded.guessed_by or "text",
        encoding=decoded.encoding,
        notes=tuple(notes),
        outline=markdown_outline(text) if kind == "markdown" else (),
    )


def _pdf_start(data: bytes) -> int | None:
    """Offset of the PDF header; some mailers and scanners put a few bytes before it."""
    match = _HEADER.search(data[: _HEADER_WITHIN + 6])
    if match is None:
        return None
    # A text that merely speaks of the header is no PDF.
    before = data[: match.start()].removeprefix(b"\xef\xbb\xbf")
    is_pdf = not before.strip() or b"startxref" in data or b" obj" in data
    return match.start() if is_pdf else None


def _read_file(source: str) -> bytes:
    if _URL.match(source):
        raise InputError(
            f"{source} is an address, and nothing is fetched from a network", "Save the page as a file first."
        )
    try:
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{source} is a directory", "Give the files inside it: infini read FOLDER/*.pdf")
        with open(source, "rb") as file:
            if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and not file.isatty()):
                raise InputError(f"{source} is a device, not a document", "Give a file, or - for stdin.")
            start = file.read(4)
            if stat.S_ISREG(mode):
                refuse_large(os.fstat(file.fileno()).st_size, start, source)
            return start + file.read()
    except FileNotFoundError:
        raise InputError(f"{source} does not exist", _missing_hint(source)) from None
    except PermissionError:
        raise InputError(
            f"{source} may not be read by you", f"Ask for permission, or change it: chmod u+r {source}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{source} cannot be read: {reason}", "Check the path and the disk.") from None


def _missing_hint(source: str) -> str:
    parent = Path(source).parent
    if not parent.is_dir():
        return f"The directory {parent} does not exist either; check the path."
    import difflib

    try:
        names = [entry.name for entry in os.scandir(parent) if entry.is_file()]
    except OSError:
        names = []
    close = difflib.get_close_matches(Path(source).name, names, n=1, cutoff=0.75)
    return f"Did you mean {parent / close[0]}?" if close else "Check the spelling and the current directory."


def _empty_hint(source: str) -> str:
    if source == "-":
        return "Pipe a document in: cat book.txt | infini summarize -"
    return "Check that the file was saved or downloaded completely."


def document_of_text(text: str, name: str) -> Document:
    """A document of a text that stands in no file.

    Raises:
        InputError: If there is no text in it.
    """
    if not text.strip():
        raise InputError(f"{name} is empty", "Give a text with words in it.")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(name, "text", digest, split_blocks(text, "text"), None, None, (), (), "text", None, ())
