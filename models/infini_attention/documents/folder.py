"""Folders given as sources stand for the documents in them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError

SUFFIXES = (".pdf", ".md", ".markdown", ".txt", ".epub", ".docx", ".html", ".htm")
_PARTS = re.compile(r"([0-9]+)")


def expand(sources: Sequence[str]) -> list[str]:
    """The sources, each folder replaced by the documents in it and in its folders: `ch2.txt` before `ch10.txt`.

    Hidden files are left out.

    Raises:
        InputError: If a folder holds no document.
    """
    expanded: list[str] = []
    for source in sources:
        folder = Path(source)
        # Unlike pathlib's, this takes any text; what no file can be called is told of when it is opened.
        if source == "-" or not os.path.isdir(source):
            expanded.append(source)
            continue
        found = [path for path in folder.rglob("*") if _is_document(path, folder)]
        if not found:
            raise InputError(f"{source} holds no documents", f"Documents end with {', '.join(SUFFIXES)}.")
        expanded += [str(path) for path in sorted(found, key=_natural)]
    return expanded


def _is_document(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()


def _natural(path: Path) -> list[list[tuple[bool, int, str]]]:
    """Numbers in names count as numbers, and come before letters."""
    return [
        [(not part.isdigit(), int(part) if part.isdigit() else 0, part.lower()) for part in _PARTS.split(name) if part]
        for name in path.parts
    ]
