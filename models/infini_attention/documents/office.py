"""Books (EPUB) and letters (DOCX): archives of XML, read by what they say of their own parts."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from .archive import Archive, local_name
from .web import markdown_of, simplify

_CONTAINER = "META-INF/container.xml"
_RELATIONS = "_rels/.rels"
_TYPES = "[Content_Types].xml"
_MAIN = "word/document.xml"
_PAGE = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
# A book of so many bytes of pages that gives less than this share of them as text was not read.
_LEAST_SHARE = 0.01
_FEWEST_BYTES = 20_000
_IMAGE = re.compile(r"!\[([^\[\]]{0,500})\]\([^()\s]{0,500}\)")
_HEADERS = re.compile(r"word/(?:header|footer)[0-9]*\.xml")
_TEXT = "t"


class NoPages(ValueError):
    """A book lists no page that is in it."""


def epub_markdown(archive: Archive) -> tuple[str, list[str]]:
    """The pages of a book in the order of its spine.

    Returns:
        The text, and notes about what was left out.

    Raises:
        NoPages: If there is none, or next to no text in what there is.
        ValueError, KeyError, zipfile.BadZipFile, TooLarge: If a part cannot be read.
    """
    texts: list[str] = []
    notes: list[str] = []
    size = hidden = 0
    missing: list[str] = []
    for name in _spine(archive):
        if name not in archive.names:
            missing.append(name)
            continue
        page = archive.read(name)
        size += len(page)
        text, left_out = markdown_of(page)
        texts.append(text.strip())
        hidden += left_out
    if not texts:
        raise NoPages("it lists no page that is in it")
    whole = "\n\n".join(filter(None, texts))
    if size >= _FEWEST_BYTES and len(whole) < _LEAST_SHARE * size:
        raise NoPages(f"its {len(texts)} pages give next to no text")
    if missing:
        notes.append(f"{len(missing)} of the book's pages are not in the file, the first of them {missing[0]}")
    if hidden:
        notes.append(left_out_note(hidden))
    return whole, notes


def left_out_note(count: int) -> str:
    """A sentence on parts that a reader does not see."""
    return f"left out {count} hidden or navigation {'part' if count == 1 else 'parts'}"


def docx_markdown(archive: Archive) -> tuple[str, list[str]]:
    """The text of a letter, and notes about what was left out.

    Raises:
        ValueError, KeyError, zipfile.BadZipFile, TooLarge: If a part cannot be read.
    """
    from markitdown import DocumentConverterResult, StreamInfo
    from markitdown.converters import DocxConverter, HtmlConverter

    class Html(HtmlConverter):
        """Keeps emphasis out of words, and the marks of links out of the text."""

        def convert_string(
            self, html_content: str, *, url: str | None = None, **options: Any
        ) -> DocumentConverterResult:
            from bs4 import BeautifulSoup

            soup = BeautifulSoup(html_content, "lxml")
            simplify(soup)
            return super().convert_string(str(soup), url=url, **options)

    converter = DocxConverter()
    converter._html_converter = Html()
    converted = converter.convert(io.BytesIO(_usual(archive)), StreamInfo(extension=".docx"))
    return _IMAGE.sub(r"\1", str(converted.markdown)), _dropped(archive)


def main_part(archive: Archive) -> str | None:
    """The part of an office document that its relationships call its main one; None where there is none."""
    if _RELATIONS not in archive.names:
        return None
    for relation in archive.xml(_RELATIONS):
        if str(relation.get("Type", "")).endswith("/officeDocument"):
            return archive.beside("x", str(relation.get("Target", "")))
    return None


def _spine(archive: Archive) -> Iterator[str]:
    """Names of a book's pages, in reading order."""
    container = archive.xml(_CONTAINER)
    package = next(
        (
            str(each.get("full-path"))
            for each in container.iter()
            if local_name(each) == "rootfile" and each.get("full-path")
        ),
        None,
    )
    if package is None or package not in archive.names:
        raise NoPages("its container names no package that is in it")
    items: dict[str, str] = {}
    order: list[str] = []
    for element in archive.xml(package).iter():
        name = local_name(element)
        if name == "item" and element.get("href"):
            items[str(element.get("id"))] = archive.beside(package, str(element.get("href")))
            kind = str(element.get("media-type"))
            if kind not in _PAGE and kind != "None":
                items.pop(str(element.get("id")))
        elif name == "itemref":
            order.append(str(element.get("idref")))
    yield from dict.fromkeys(items[reference] for reference in order if reference in items)


def _usual(archive: Archive) -> bytes:
    """The document with its main part where most programs put it, and without pictures."""
    import zipfile

    main = main_part(archive) or _MAIN
    folder, _, file = main.rpartition("/")
    renamed = {main: _MAIN, f"{folder}/_rels/{file}.rels".lstrip("/"): "word/_rels/document.xml.rels"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as usual:
        for name in sorted(archive.names):
            if name.endswith("/") or (name in renamed.values() and name not in renamed):
                continue
            content = archive.read(name) if name.lower().endswith((".xml", ".rels")) else b""
            if name in (_RELATIONS, _TYPES):
                content = content.replace(main.encode(), _MAIN.encode())
            usual.writestr(renamed.get(name, name), content)
    return buffer.getvalue()


def _dropped(archive: Archive) -> list[str]:
    """What the converter does not take: comments, and the heads and feet of pages."""
    notes = []
    if "word/comments.xml" in archive.names:
        count = sum(1 for each in archive.xml("word/comments.xml").iter() if local_name(each) == "comment")
        if count:
            notes.append(f"left out {count} {'comment' if count == 1 else 'comments'}")
    heads = [name for name in archive.names if _HEADERS.fullmatch(name) and _has_text(archive, name)]
    if heads:
        notes.append(f"left out {len(heads)} {'header or footer' if len(heads) == 1 else 'headers and footers'}")
    return notes


def _has_text(archive: Archive, name: str) -> bool:
    return any(local_name(each) == _TEXT and (each.text or "").strip() for each in archive.xml(name).iter())
