"""EPUB, DOCX, HTML and what else markitdown turns into Markdown (the extra `documents`).

Nothing is fetched: pictures and links of a document stay names. Scripts and styles are no text.
"""

from __future__ import annotations

import io
import re
import zipfile
from importlib.metadata import version

from ..errors import InputError
from .model import Document, Kind
from .text import markdown_outline, split_blocks

# Bytes that an archive may have, and unfold to: more is no document, or a trap.
MOST_PACKED = 512 * 2**20
MOST_UNPACKED = 2**30
# Members that tell what an archive is.
_MEMBERS: tuple[tuple[str, Kind], ...] = (
    ("META-INF/container.xml", "epub"),
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
)
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_HTML_SUFFIXES = (".html", ".htm", ".xhtml")
_IMAGE = re.compile(r"!\[(?P<text>[^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\([^)]*\)")


def markup_kind(data: bytes, name: str) -> Kind | None:
    """What a file is that can be read here, told by its content; None for everything else.

    Raises:
        InputError: If it is an archive of such a kind that is damaged, or too large to be unfolded.
    """
    if data[:4] == b"PK\x03\x04":
        return _archive_kind(data, name)
    if _HTML.match(data[:4096].removeprefix(b"\xef\xbb\xbf")) or name.lower().endswith(_HTML_SUFFIXES):
        return "html"
    return None


def read_markup(data: bytes, name: str, sha256: str, kind: Kind) -> Document:
    """Read a document of a kind that `markup_kind` gave.

    Raises:
        InputError: If it cannot be read, has no text, or needs a package that is not installed.
    """
    try:
        from markitdown import MarkItDown, MarkItDownException, MissingDependencyException, StreamInfo
    except ImportError:
        raise InputError(
            f"{name} is a file of the kind {kind}, which needs the package markitdown",
            "Install it: pip install 'infini[documents]', or save the file as PDF or text.",
        ) from None
    try:
        converted = MarkItDown(enable_plugins=False).convert_stream(
            io.BytesIO(data), stream_info=StreamInfo(extension=f".{kind}", filename=name)
        )
    except MissingDependencyException:
        raise InputError(
            f"{name} is a file of the kind {kind}, which needs more than markitdown alone",
            f"Install it: pip install 'markitdown[{kind}]', or save the file as PDF or text.",
        ) from None
    except (MarkItDownException, zipfile.BadZipFile, ValueError, KeyError, OSError) as error:
        raise InputError(
            f"{name} cannot be read as {kind}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            "It may be damaged: open it in its own program and save it again, or save it as PDF.",
        ) from error
    text = _LINK.sub(r"\g<text>", _IMAGE.sub(r"\g<text>", converted.text_content))
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
        notes=(),
        outline=markdown_outline(text),
    )


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


def _archive_kind(data: bytes, name: str) -> Kind | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename for info in archive.infolist()}
            unpacked = sum(info.file_size for info in archive.infolist())
    except zipfile.BadZipFile:
        if name.lower().endswith((".epub", ".docx", ".pptx", ".xlsx")):
            raise InputError(f"{name} is damaged: its archive cannot be opened", "Copy or download it again.") from None
        return None
    kind = next((kind for member, kind in _MEMBERS if member in members), None)
    if kind is not None and unpacked > MOST_UNPACKED:
        raise InputError(
            f"{name} unfolds to {unpacked / 2**20:,.0f} MiB; at most {MOST_UNPACKED // 2**20} MiB are read",
            "If it is meant to be so large, save its text as PDF or plain text.",
        )
    return kind
