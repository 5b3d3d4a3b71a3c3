"""EPUB, DOCX, HTML and what else markitdown turns into Markdown (the extra `documents`).

Nothing is fetched: pictures and links of a document stay names. Scripts and styles are no text.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, cast

from ..errors import InputError
from .isolation import Isolation, Stopped, run
from .model import Document, Kind
from .text import markdown_outline, split_blocks, without_control

# Bytes that an archive may have: more is no document.
MOST_PACKED = 512 * 2**20
# A book may take as long as so many pages of a PDF.
_PAGES = 6
# Members that tell what an archive is.
_MEMBERS: tuple[tuple[str, Kind], ...] = (
    ("META-INF/container.xml", "epub"),
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
)
_SUFFIXES = (".epub", ".docx", ".pptx", ".xlsx")
_DECLARATION = re.compile(rb"<\?xml[^>]{0,500}>")
_HTML = re.compile(rb"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_HTML_SUFFIXES = (".html", ".htm", ".xhtml")


def markup_kind(data: bytes, name: str) -> Kind | None:
    """What a file is that can be read here, told by its content; None for everything else.

    Raises:
        InputError: If it is an archive of such a kind that is damaged.
    """
    if data[:4] == b"PK\x03\x04":
        return _archive_kind(data, name)
    if _begins_as_html(data[:4096].removeprefix(b"\xef\xbb\xbf")) or name.lower().endswith(_HTML_SUFFIXES):
        return "html"
    return None


def read_markup(data: bytes, name: str, sha256: str, kind: Kind, isolation: Isolation | None = None) -> Document:
    """Read a document of a kind that `markup_kind` gave.

    Raises:
        InputError: If it cannot be read, has no text, or needs a package that is not installed.
    """
    if find_spec("markitdown") is None:
        raise InputError(
            f"{name} is a file of the kind {kind}, which needs the package markitdown",
            "Install it: pip install 'infini[documents]', or save the file as PDF or text.",
        )
    request = {"name": name, "kind": kind}
    # A book is converted in one go.
    bounds = None if isolation is None else replace(isolation, seconds=_PAGES * isolation.seconds)
    try:
        (answer,) = convert(data, request) if bounds is None else run("markup", request, data, bounds)
    except Stopped as stop:
        raise InputError(
            f"{name} cannot be read as {kind}: it {stop}", "If it is meant to be so large, save its text as PDF."
        ) from None
    text, _ = without_control(answer["text"])
    blocks = split_blocks(text, "markdown")
    if not any(block.text.strip() for block in blocks):
        raise InputError(f"{name} has no text", "Check that the document is not made of pictures alone.")
    return Document(
        name=name,
        kind=kind,
        sha256=sha256,
        blocks=blocks,
        pages=None,
        pages_read=None,
        empty_pages=(),
        failed_pages=(),
        extractor=f"markitdown {version('markitdown')}",
        encoding=None,
        notes=tuple(answer["notes"]),
        outline=markdown_outline(text),
    )


def convert(data: bytes, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A document as Markdown, with notes about what was left out.

    Args:
        data: The file.
        request: Its `name` as shown to people, and its `kind`.

    Raises:
        InputError: If it cannot be read.
    """
    from .archive import TooLarge
    from .pdf_tree import quiet

    name, kind = request["name"], cast(Kind, request["kind"])
    try:
        with quiet("bs4"), quiet("markitdown"), quiet("mammoth"):
            text, notes = _converted(data, name, kind)
    except TooLarge:
        raise InputError(
            f"{name} unfolds to more than a document has",
            "If it is meant to be so large, save its text as PDF or plain text.",
        ) from None
    except (zipfile.BadZipFile, ValueError, KeyError, OSError, AttributeError, TypeError, LookupError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{name} cannot be read as {kind}: {reason}",
            "It may be damaged: open it in its own program and save it again, or save it as PDF.",
        ) from error
    yield {"text": text, "notes": notes}


def refuse_large(size: int, start: bytes, name: str) -> None:
    """Refuse an archive that is too large to be a document, before all of it is read.

    Raises:
        InputError: If it is.
    """
    if start[:4] == b"PK\x03\x04" and size > MOST_PACKED:
        raise InputError(
            f"{name} is an archive of {size / 2**20:,.0f} MiB; at most {MOST_PACKED // 2**20} MiB are read",
            "Save its text as PDF or plain text: those are read at any size.",
        )


def _converted(data: bytes, name: str, kind: Kind) -> tuple[str, list[str]]:
    from .archive import Archive
    from .office import docx_markdown, epub_markdown, left_out_note
    from .web import markdown_of

    if kind == "html":
        text, left_out = markdown_of(data)
        return text, [left_out_note(left_out)] if left_out else []
    archive = Archive(data)
    if kind == "epub":
        return epub_markdown(archive)
    if kind == "docx":
        return docx_markdown(archive)
    return _slides_or_sheets(archive.only(sorted(archive.names)), name, kind), []


def _slides_or_sheets(data: bytes, name: str, kind: Kind) -> str:
    from markitdown import MarkItDown, MarkItDownException, MissingDependencyException, StreamInfo

    try:
        info = StreamInfo(extension=f".{kind}", filename=name)
        return str(MarkItDown(enable_plugins=False).convert_stream(io.BytesIO(data), stream_info=info).markdown)
    except MissingDependencyException:
        raise InputError(
            f"{name} is a file of the kind {kind}, which needs more than markitdown alone",
            f"Install it: pip install 'markitdown[{kind}]', or save the file as PDF or text.",
        ) from None
    except MarkItDownException as error:
        raise ValueError(str(error)) from error


def _begins_as_html(start: bytes) -> bool:
    """Whether a file opens with HTML, behind a declaration and comments."""
    rest = start.lstrip()
    if (declaration := _DECLARATION.match(rest)) is not None:
        rest = rest[declaration.end() :].lstrip()
    while rest.startswith(b"<!--") and (end := rest.find(b"-->")) >= 0:
        rest = rest[end + 3 :].lstrip()
    return _HTML.match(rest) is not None


def _archive_kind(data: bytes, name: str) -> Kind | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        if name.lower().endswith(_SUFFIXES):
            raise InputError(f"{name} is damaged: its archive cannot be opened", "Copy or download it again.") from None
        return None
    kind = next((kind for member, kind in _MEMBERS if member in members), None)
    return kind if kind is not None or not _is_word(data) else "docx"


def _is_word(data: bytes) -> bool:
    """Whether an archive's relationships name a main part of a word processor, whatever that is called."""
    from .archive import Archive, TooLarge
    from .office import main_part

    try:
        archive = Archive(data)
        main = main_part(archive)
        return main is not None and main in archive.names and b"wordprocessingml" in archive.read(main)[:100_000]
    except (zipfile.BadZipFile, ValueError, KeyError, TooLarge):
        return False
