"""A new end for a PDF that was cut short, such as a broken-off download."""

from __future__ import annotations

import re

_OBJECT = re.compile(rb"(?:^|(?<=[\r\n]))[ \t]*([0-9]{1,8})[ \t]+[0-9]{1,5}[ \t]+obj\b")
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PAGES = re.compile(rb"/Type\s*/Pages(?![A-Za-z])")
_CATALOG = re.compile(rb"/Type\s*/Catalog(?![A-Za-z])")


def with_new_end(data: bytes) -> bytes | None:
    """The file with a trailer that makes a reader look for its objects one by one.

    Where the root of the page tree is lost with the end, a new one is made of the pages found, in the file's
    order. Returns None if there is no object to be found.
    """
    found = list(_OBJECT.finditer(data))
    if not found:
        return None
    last = max(int(match[1]) for match in found)
    addition = b"\nendobj\n"
    catalogs = _numbers(data, found, _CATALOG)
    if not (catalogs and _PAGES.search(data)) and (pages := _numbers(data, found, _PAGE)):
        kids = b" ".join(b"%d 0 R" % number for number in pages)
        addition += b"%d 0 obj\n<< /Type /Pages /Count %d /Kids [ %s ] >>\nendobj\n" % (
            last + 1,
            len(pages),
            kids,
        )
        addition += b"%d 0 obj\n<< /Type /Catalog /Pages %d 0 R >>\nendobj\n" % (last + 2, last + 1)
        last += 2
        catalogs = [last]
    # Without /Root pypdf looks for the catalog itself, also inside compressed object streams; pdfium needs one.
    root = b"/Root %d 0 R " % catalogs[-1] if catalogs else b""
    return data + addition + b"trailer\n<< /Size %d %s>>\nstartxref\n0\n%%%%EOF\n" % (last + 1, root)


def _numbers(data: bytes, found: list[re.Match[bytes]], kind: re.Pattern[bytes]) -> list[int]:
    """Numbers of the objects of a kind, each once, in the file's order."""
    ends = [match.start() for match in found[1:]] + [len(data)]
    numbers = [int(match[1]) for match, end in zip(found, ends, strict=True) if kind.search(data, match.end(), end)]
    return list(dict.fromkeys(numbers))
