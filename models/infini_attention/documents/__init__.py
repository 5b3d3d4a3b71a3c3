"""From a file or standard input to one `Document` of text blocks that know their page and heading."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Block, Document, OutlineItem
    from .pages import PageSelection, format_pages
    from .source import load_document

# Where each name is defined. It is imported when it is first used: the process that parses a document needs few of them.
_HOMES = {
    "Block": "model",
    "Document": "model",
    "OutlineItem": "model",
    "PageSelection": "pages",
    "format_pages": "pages",
    "load_document": "source",
}

__all__ = ["Block", "Document", "OutlineItem", "PageSelection", "format_pages", "load_document"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
