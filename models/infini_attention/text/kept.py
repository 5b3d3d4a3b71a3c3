"""The text of what was read, as a state carries it along."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..documents import Block
from ..errors import InfiniError

# What a state calls it.
ATTACHMENT = "text"
# Version 1 has no page labels; it is read as well.
_VERSION = 2
_READABLE = (1, 2)


@dataclass(frozen=True)
class KeptText:
    """The text of one source.

    Attributes:
        name: The source's name as shown to people.
        blocks: Its text in reading order, as far as it was read.
    """

    name: str
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, name: str, text: str) -> KeptText:
        """A text of which nothing but its blank lines is known: they end its blocks."""
        return cls(name, tuple(Block(part.strip()) for part in text.split("\n\n") if part.strip()))


def pack(texts: Sequence[KeptText]) -> bytes:
    """Texts as compressed bytes."""
    value = {
        "version": _VERSION,
        "sources": [
            {
                "name": text.name,
                "blocks": [[block.text, block.page, block.heading, block.label] for block in text.blocks],
            }
            for text in texts
        ],
    }
    return zlib.compress(json.dumps(value, ensure_ascii=False).encode(), 9)


def unpack(content: bytes) -> list[KeptText]:
    """What `pack` made.

    Raises:
        InfiniError: If another release wrote it.
    """
    value = json.loads(zlib.decompress(content))
    if value.get("version") not in _READABLE:
        raise InfiniError(
            f"the state carries text of version {value.get('version')}; this release knows {_VERSION}",
            "Read the document again, or ask with --memory-only.",
        )
    return [KeptText(source["name"], tuple(Block(*block) for block in source["blocks"])) for source in value["sources"]]
