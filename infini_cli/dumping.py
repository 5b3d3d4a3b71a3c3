"""The text of documents as the model would see it, for people and programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from infini_attention.documents import Document
from infini_attention.documents.reading import DOCUMENT_END

from infini_cli.output import emit_json

SCHEMA = "infini.text/1"


def dump(documents: Sequence[Document], form: str) -> None:
    """Write the text of documents to stdout.

    Args:
        documents: In the order in which they would be read.
        form: `text` writes the model's input and nothing else; `json` and `jsonl` write its blocks and where each stands.
    """
    if form == "text":
        for document in documents:
            sys.stdout.write(document.text + DOCUMENT_END)
        sys.stdout.flush()
        return
    value = {"schema": SCHEMA, "documents": [_record(document) for document in documents]}
    emit_json(value, sys.stdout, jsonl=form == "jsonl")


def _record(document: Document) -> dict[str, Any]:
    return {
        "source": document.name,
        "kind": document.kind,
        "sha256": document.sha256,
        "extractor": document.extractor,
        "language": document.language,
        "pages": document.pages,
        "empty_pages": list(document.empty_pages),
        "failed_pages": list(document.failed_pages),
        "recognised_pages": list(document.recognised_pages),
        "notes": list(document.notes),
        "clean_up": dict(document.clean_up),
        "outline": [{"title": item.title, "level": item.level, "page": item.page} for item in document.outline],
        "blocks": [
            {"page": block.page, "label": block.label, "heading": block.heading, "text": block.text}
            for block in document.blocks
        ],
    }
