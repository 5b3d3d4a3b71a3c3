"""From a file or standard input to one `Document` of text blocks that know their page and heading."""

from infini_cli.documents.model import Block, Document, OutlineItem
from infini_cli.documents.pages import PageSelection, format_pages
from infini_cli.documents.source import load_document

__all__ = ["Block", "Document", "OutlineItem", "PageSelection", "format_pages", "load_document"]
