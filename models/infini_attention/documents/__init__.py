"""From a file or standard input to one `Document` of text blocks that know their page and heading."""

from .model import Block, Document, OutlineItem
from .pages import PageSelection, format_pages
from .source import load_document

__all__ = ["Block", "Document", "OutlineItem", "PageSelection", "format_pages", "load_document"]
