"""The parts of reading a PDF that must go on when a file is damaged: its page tree and its content streams.

pypdf skips entries of the page tree that it cannot read, which shifts all later page numbers, and takes what
it can from a broken stream without a word. Here a lost page keeps its number, and a broken stream shows.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

T = TypeVar("T")

_DEEPEST_TREE = 64
_MOST_PAGES = 200_000
_INHERITED = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")
_RAW_DEFLATE = -15
_CHUNK = 1 << 20
# More is no text: what comes behind it is taken for whole.
_MOST_UNFOLDED = 64 << 20


@dataclass(frozen=True)
class Leaf:
    """A place in the page tree.

    Attributes:
        number: Number of the page's object, by which the outline names it; None where there is none.
        page: The page; None if it is lost.
    """

    number: int | None
    page: PageObject | None


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Keep a library's log messages and warnings off the terminal."""
    logger = logging.getLogger(library)
    handler = logging.NullHandler()
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def page_tree(reader: PdfReader) -> list[Leaf]:
    """All pages in order, lost ones among them, so that the others keep their numbers.

    Raises:
        Exception: Whatever pypdf raises if not even the root of the tree can be read.
    """
    root = reader.root_object["/Pages"]
    leaves: list[Leaf] = []
    reference = reader.root_object.raw_get("/Pages")
    _walk(reader, root, {}, leaves, {getattr(reference, "idnum", -1)}, 0)
    return leaves


def attempt(read: Callable[[], T]) -> T | None:
    """The result of `read`, or None where it fails.

    pypdf raises nearly anything on damaged files, RecursionError included, so nothing narrower will do.
    """
    try:
        return read()
    except Exception:  # noqa: BLE001
        return None


def content_is_whole(page: PageObject) -> bool:
    """Whether all of a page's content can be decoded."""
    return attempt(lambda: _content_is_whole(page)) is True


def _walk(
    reader: PdfReader,
    node: Any,
    inherited: dict[str, Any],
    leaves: list[Leaf],
    seen: set[int],
    depth: int,
) -> None:
    from pypdf.generic import DictionaryObject, IndirectObject

    inherited = inherited | {key: node.raw_get(key) for key in _INHERITED if key in node}
    first = len(leaves)
    lost: list[int] = []
    for kid in _kids(node):
        child: Any = attempt(kid.get_object)
        number = kid.idnum if isinstance(kid, IndirectObject) else None
        known = isinstance(child, DictionaryObject) and (number is None or number not in seen) and depth < _DEEPEST_TREE
        if len(leaves) >= _MOST_PAGES:
            return
        if known and "/Kids" in child:
            # A branch that hangs on two others would unfold without end.
            seen |= {number} if number is not None else set()
            _walk(reader, child, inherited, leaves, seen, depth + 1)
        elif known and child.get("/Type", "/Page") == "/Page":
            page = attempt(partial(_page, reader, kid, child, inherited))
            leaves.append(Leaf(number, page))
        else:
            lost.append(len(leaves))
            leaves.append(Leaf(number, None))
    _fill_up(node, leaves, first, lost)


def _fill_up(node: Any, leaves: list[Leaf], first: int, lost: list[int]) -> None:
    """A lost entry may have been a branch with many pages: the parent's count tells how many are missing."""
    count = node.get("/Count")
    missing = int(count) - (len(leaves) - first) if isinstance(count, int) else 0
    if lost and 0 < missing <= _MOST_PAGES - len(leaves):
        leaves[lost[-1] : lost[-1]] = [Leaf(None, None)] * missing


def _kids(node: Any) -> list[Any]:
    kids = attempt(lambda: node["/Kids"])
    return list(kids) if isinstance(kids, list) else []


def _page(reader: PdfReader, kid: Any, child: Any, inherited: dict[str, Any]) -> PageObject:
    from pypdf import PageObject
    from pypdf.generic import IndirectObject, NameObject

    page = PageObject(reader, kid if isinstance(kid, IndirectObject) else None)
    page.update(child)
    for key, value in inherited.items():
        if key not in page:
            page[NameObject(key)] = value
    return page


def _content_is_whole(page: PageObject) -> bool:
    from pypdf.generic import ArrayObject, NullObject, StreamObject

    if "/Contents" not in page:
        return True
    contents = page["/Contents"].get_object()
    parts = [part.get_object() for part in contents] if isinstance(contents, ArrayObject) else [contents]
    if not isinstance(contents, ArrayObject) and isinstance(page.raw_get("/Contents"), NullObject):
        return True
    return all(isinstance(part, StreamObject) and _stream_is_whole(part) for part in parts)


def _stream_is_whole(stream: Any) -> bool:
    """Whether a compressed stream reaches its end; its checksum, often wrong, is left aside."""
    from pypdf.filters import ASCII85Decode

    given = stream.get("/Filter")
    filters = list(given) if isinstance(given, list) else [given]
    data: bytes = stream._data
    if filters[:1] and filters[0] in ("/ASCII85Decode", "/A85"):
        data = ASCII85Decode.decode(data)
        filters = filters[1:]
    if not filters or filters[0] not in ("/FlateDecode", "/Fl"):
        return True
    decompressor = zlib.decompressobj(_RAW_DEFLATE)
    rest = data[2:]
    unfolded = 0
    try:
        while rest and not decompressor.eof:
            unfolded += len(decompressor.decompress(rest, _CHUNK))
            if unfolded > _MOST_UNFOLDED:
                return True
            rest = decompressor.unconsumed_tail
    except zlib.error:
        return False
    return decompressor.eof
