"""PDF files through pypdf: every page that can be read, and the names of those that cannot."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .extracted import REPAIR_HINT, Bookmark, Locked, PageText
from .page_lines import PageLine, page_lines, plain_lines
from .pdf_pieces import Piece
from .pdf_repair import with_new_end
from .pdf_tree import Leaf, attempt, content_is_whole, page_tree, quiet

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

# For lines of which only the start is known, in points.
_SIZE = 10.0
_LETTER_WIDTH = 3.0


class PypdfPages:
    """A PDF that is open in pypdf.

    Attributes:
        extractor: Name and version.
        total: Pages in the file.
        repaired: Whether the file was cut short, or its index is damaged.
    """

    def __init__(self, data: bytes, name: str, password: str | None) -> None:
        """Open a PDF.

        Raises:
            Locked: If it is encrypted and the password does not open it.
            InputError: If it cannot be opened, or has no pages.
        """
        import pypdf

        self.extractor = f"pypdf {pypdf.__version__}"
        with quiet("pypdf"):
            self._reader, self.repaired = _open(data, name)
            if self._reader.is_encrypted and not (
                _opens(self._reader, name, "") or (password is not None and _opens(self._reader, name, password))
            ):
                raise Locked
            try:
                self._leaves = page_tree(self._reader)
            except Exception as error:
                raise InputError(f"{name} is damaged and its pages cannot be found", REPAIR_HINT) from error
        self.total = len(self._leaves)
        if self.total == 0:
            raise InputError(f"{name} has no pages", REPAIR_HINT)

    def page(self, number: int) -> PageText:
        """The text of a page, counted from 1."""
        page = self._page(number)
        if page is None:
            return PageText(None)
        with quiet("pypdf"):
            lines, reordered = _text(page)
        return PageText(None if lines is None else tuple(lines), reordered)

    def is_whole(self, number: int) -> bool:
        """Whether all content of a page can be decoded, or nothing is known of it."""
        page = self._page(number)
        with quiet("pypdf"):
            return page is None or content_is_whole(page)

    def outline(self) -> tuple[Bookmark, ...]:
        """The bookmarks, in order; what can be read of them."""
        with quiet("pypdf"):
            return tuple(_outline(self._reader, self._leaves))

    def labels(self) -> dict[int, str]:
        """Page numbers as they are printed, where the file tells."""
        with quiet("pypdf"):
            return attempt(lambda: _labels(self._reader)) or {}

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def _page(self, number: int) -> PageObject | None:
        return self._leaves[number - 1].page if number <= len(self._leaves) else None


def _open(data: bytes, name: str) -> tuple[PdfReader, bool]:
    """A reader for the file, and whether the file had to be given a new end."""
    from pypdf import PdfReader

    try:
        return PdfReader(BytesIO(data)), False
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

    try:
        return reader.decrypt(password) != PasswordType.NOT_DECRYPTED
    except UnicodeError:
        return False
    except Exception as error:
        raise InputError(f"{name} is damaged and cannot be decrypted: {error}", REPAIR_HINT) from error


def _text(page: PageObject) -> tuple[list[PageLine] | None, bool]:
    """The lines of a page, or None if it cannot be read, and whether its columns had to be told apart."""
    pieces: list[tuple[str, float, float]] = []

    def visit(text: str, cm: list[float], tm: list[float], font: Any, size: float) -> None:
        if text:
            x, y = tm[4], tm[5]
            pieces.append((text, x * cm[0] + y * cm[2] + cm[4], x * cm[1] + y * cm[3] + cm[5]))

    text = attempt(lambda: page.extract_text(visitor_text=visit))
    if text is None:
        return None, False
    lines, reordered = attempt(lambda: page_lines(_pieces(pieces))) or ([], False)
    return (lines, True) if reordered else (plain_lines(text), False)


def _pieces(drawn: list[tuple[str, float, float]]) -> list[Piece]:
    """What a page draws, each line where its first words stand. Widths are not told: half a size for a letter."""
    lines: list[Piece] = []
    line = ""
    start = (0.0, 0.0)

    def end() -> None:
        if line.strip():
            lines.append(Piece(line.strip(), start[0], start[0] + _LETTER_WIDTH * len(line), start[1], _SIZE))

    for text, left, height in drawn:
        for number, part in enumerate(text.split("\n")):
            if number:
                end()
                line = ""
            if not line.strip():
                start = (left, height)
            line += part
    end()
    return lines


def _outline(reader: PdfReader, leaves: list[Leaf]) -> list[Bookmark]:
    """The bookmarks, in order; what can be read of them."""
    numbers = {leaf.number: number for number, leaf in enumerate(leaves, 1) if leaf.number is not None}
    entries: list[Bookmark] = []

    def walk(items: list[Any], level: int) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item, level + 1)
            elif title := " ".join(str(item.title or "").split()):
                entries.append(Bookmark(title, level, numbers.get(getattr(item.page, "idnum", -1)), _top(item)))

    # A broken outline costs headings only: the text is worth having without it.
    attempt(lambda: walk(list(reader.outline), 1))
    return entries


def _top(item: Any) -> float | None:
    top = attempt(lambda: item.top)
    return float(top) if isinstance(top, int | float) else None


def _labels(reader: PdfReader) -> dict[int, str]:
    if "/PageLabels" not in reader.root_object:
        return {}
    return {number: label.strip() for number, label in enumerate(reader.page_labels, 1) if label.strip()}
