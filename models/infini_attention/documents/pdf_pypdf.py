"""PDF files through pypdf: every page that can be read, and the names of those that cannot."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..errors import InfiniError, InputError
from .columns import Line, in_columns
from .extracted import REPAIR_HINT, Extracted, unlock
from .model import OutlineItem
from .pages import PageSelection
from .pdf_repair import with_new_end
from .pdf_tree import Leaf, attempt, content_is_whole, page_tree, quiet

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader


def extract(
    data: bytes,
    name: str,
    *,
    selection: PageSelection | None,
    password: str | None,
    ask_password: Callable[[str], str] | None,
) -> Extracted:
    """Take the text out of a PDF; arguments and errors as for `read_pdf`."""
    import pypdf

    with quiet("pypdf"):
        reader, repaired = _open(data, name)
        if reader.is_encrypted and not _opens(reader, name, ""):
            unlock(name, lambda word: _opens(reader, name, word), password, ask_password)
        try:
            leaves = page_tree(reader)
        except Exception as error:
            raise InputError(f"{name} is damaged and its pages cannot be found", REPAIR_HINT) from error
        total = len(leaves)
        if total == 0:
            raise InputError(f"{name} has no pages", REPAIR_HINT)
        chosen = selection.resolve(total) if selection is not None else tuple(range(1, total + 1))
        extracted = Extracted(f"pypdf {pypdf.__version__}", total, chosen, repaired=repaired)
        for number in chosen:
            page = leaves[number - 1].page
            if page is None:
                extracted.failed.append(number)
                continue
            text, reordered = _text(page)
            extracted.add(number, text, whole=content_is_whole(page), reordered=reordered)
        extracted.outline = _outline(reader, leaves)
        extracted.labels = attempt(lambda: _labels(reader)) or {}
    return extracted


def damage(data: bytes, password: str | None, pages: tuple[int, ...]) -> tuple[list[int], bool]:
    """Pages whose content cannot all be decoded, and whether the file's end or index is lost.

    For backends that do not tell. Nothing is known of a file that pypdf cannot open.
    """
    with quiet("pypdf"):
        opened = attempt(lambda: _open(data, ""))
        if opened is None:
            return [], False
        reader, repaired = opened
        if reader.is_encrypted and not attempt(lambda: _opens(reader, "", "") or _opens(reader, "", password or "")):
            return [], repaired
        leaves = attempt(lambda: page_tree(reader)) or []
        broken = []
        for number in pages:
            page = leaves[number - 1].page if number <= len(leaves) else None
            if page is not None and not content_is_whole(page):
                broken.append(number)
    return broken, repaired


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
            raise InputError(reason, REPAIR_HINT) from error
        return reader, True


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
        raise InputError(f"{name} is damaged and cannot be decrypted: {error}", REPAIR_HINT) from error


def _text(page: PageObject) -> tuple[str | None, bool]:
    """The text of a page, or None if it cannot be read, and whether its columns had to be told apart."""
    pieces: list[tuple[str, float, float]] = []

    def visit(text: str, cm: list[float], tm: list[float], font: Any, size: float) -> None:
        if text:
            x, y = tm[4], tm[5]
            pieces.append((text, x * cm[0] + y * cm[2] + cm[4], x * cm[1] + y * cm[3] + cm[5]))

    text = attempt(lambda: page.extract_text(visitor_text=visit))
    ordered = None if text is None else attempt(lambda: in_columns(_lines(pieces)))
    return (text, False) if ordered is None else ("\n".join(ordered), True)


def _lines(pieces: list[tuple[str, float, float]]) -> list[Line]:
    """The pieces of a page's text as lines, each where its first words stand."""
    lines: list[Line] = []
    line = ""
    start = (0.0, 0.0)
    for text, left, height in pieces:
        for number, part in enumerate(text.split("\n")):
            if number:
                lines.append(Line(line, *start))
                line = ""
            if not line.strip():
                start = (left, height)
            line += part
    lines.append(Line(line, *start))
    return [line for line in lines if line.text.strip()]


def _outline(reader: PdfReader, leaves: list[Leaf]) -> list[OutlineItem]:
    """The bookmarks, in order; what can be read of them."""
    numbers = {leaf.number: number for number, leaf in enumerate(leaves, 1) if leaf.number is not None}
    entries: list[OutlineItem] = []

    def walk(items: list[Any], level: int) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item, level + 1)
            elif title := " ".join(str(item.title or "").split()):
                entries.append(OutlineItem(title, level, numbers.get(getattr(item.page, "idnum", -1))))

    # A broken outline costs headings only: the text is worth having without it.
    attempt(lambda: walk(list(reader.outline), 1))
    return entries


def _labels(reader: PdfReader) -> dict[int, str]:
    if "/PageLabels" not in reader.root_object:
        return {}
    return {number: label.strip() for number, label in enumerate(reader.page_labels, 1) if label.strip()}


def _without_cryptography(name: str) -> InfiniError:
    return InputError(
        f"{name} is encrypted with AES, which needs the package cryptography",
        "Install it: pip install cryptography",
    )
