"""HTML as a reader sees it: without what is hidden, what leads elsewhere, and the marks of links and pictures."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

# Elements that are not text. What a reader may open, such as <details>, is.
_NO_TEXT = ("script", "style", "template", "noscript", "head", "iframe", "object", "svg", "canvas", "select", "button")
_NAVIGATION = ("nav", "menu")
_NAVIGATION_ROLES = frozenset(("navigation", "menu", "menubar", "search"))
# What makers of manuals and web sites call it: a word of a class, whole.
_NAVIGATION_CLASSES = frozenset(
    ("nav", "navigation", "navbar", "navheader", "navfooter", "nav-panel", "breadcrumb", "breadcrumbs", "pagination")
)
_WHOLE = ("html", "body", "main", "article")
_HIDING = re.compile(r"(?:display\s{0,5}:\s{0,5}none|visibility\s{0,5}:\s{0,5}hidden)", re.IGNORECASE)
_EMPHASIS = ("b", "strong", "i", "em", "u", "s", "del", "strike", "mark", "tt", "code")
_NOTE = re.compile(r"\[([0-9]{1,4}|[a-z*†‡])\]")
# Deeper trees are flattened: the converter goes down them by recursion.
_DEEPEST = 150


def markdown_of(html: bytes | str, encoding: str | None = None) -> tuple[str, int]:
    """HTML as Markdown.

    Args:
        html: The page.
        encoding: Of bytes, where it is known; else what the page itself says, or its looks.

    Returns:
        The text, and how many hidden or leading-elsewhere parts with text were left out.
    """
    from bs4 import BeautifulSoup
    from markitdown.converters import HtmlConverter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        soup = BeautifulSoup(html, "lxml", from_encoding=encoding if isinstance(html, bytes) else None)
        left_out = simplify(soup)
        return str(HtmlConverter().convert_string(str(soup)).markdown), left_out


def simplify(soup: BeautifulSoup) -> int:
    """Take out what is no text to a reader; return how many hidden or leading-elsewhere parts had text."""
    for tag in soup.find_all(_NO_TEXT):
        tag.decompose()
    left_out = 0
    for tag in list(_unseen(soup)):
        if not tag.decomposed:
            left_out += bool(tag.get_text(strip=True))
            tag.decompose()
    for picture in soup.find_all("img"):
        picture.replace_with(str(picture.get("alt") or ""))
    _flatten(soup)
    for link in soup.find_all("a"):
        if link.parent is not None and link.parent.name == "sup" and (note := _NOTE.fullmatch(link.get_text().strip())):
            link.string = note[1]
        link.unwrap()
    for tag in soup.find_all(_EMPHASIS):
        if _inside_word(tag):
            tag.unwrap()
    return left_out


def _unseen(soup: BeautifulSoup) -> Iterator[Tag]:
    for tag in soup.find_all(True):
        hidden = tag.has_attr("hidden") or _HIDING.search(str(tag.get("style") or ""))
        leads = tag.name in _NAVIGATION or str(tag.get("role") or "") in _NAVIGATION_ROLES
        # A class of the whole page says how it looks.
        named = tag.name not in _WHOLE and not _NAVIGATION_CLASSES.isdisjoint(tag.get_attribute_list("class"))
        if hidden or leads or named:
            yield tag


def _inside_word(tag: Tag) -> bool:
    """Whether emphasis begins or ends within a word."""
    text = tag.get_text()
    if not text:
        return True
    before = tag.previous_sibling
    after = tag.next_sibling
    begins = before is not None and before.get_text()[-1:].isalnum() and text[0].isalnum()
    ends = after is not None and after.get_text()[:1].isalnum() and text[-1].isalnum()
    return begins or ends


def _flatten(soup: BeautifulSoup) -> None:
    """Leave of tags that stand too deep only their text.

    All at once, where the deep ones begin: to take one out after the other, each with all that is in it, takes a time that
    grows with the square of the depth.
    """
    stack: list[tuple[Tag, int]] = [(soup, 0)]
    while stack:
        tag, depth = stack.pop()
        children = tag.find_all(True, recursive=False)
        if depth < _DEEPEST:
            stack += [(child, depth + 1) for child in children]
        elif children:
            tag.string = tag.get_text()
