"""The text of what was read, as a state carries it along."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from ..documents import Block
from ..errors import InfiniError, StateError
from . import notes

if TYPE_CHECKING:
    from ..memory.cipher import StateCipher
    from ..memory.state import MemoryState

# What a state calls it.
ATTACHMENT = "text"
# Version 1 has no page labels; it is read as well.
_VERSION = 2
_READABLE = (1, 2)
# Of all text that a state carries: bytes as JSON, and blocks. A shelf of forty long novels.
MOST_TEXT, MOST_BLOCKS = 24_000_000, 250_000
_BLOCK_START = re.compile(rb'\[\s*"')

_Number = Annotated[int, Meta(ge=0, le=10**9)]


class _Version(msgspec.Struct):
    version: int


class _Block(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1)]
    page: _Number | None = None
    heading: str | None = None
    label: str | None = None


class _Source(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=4096)]
    blocks: list[_Block]


class _Texts(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    sources: list[_Source]


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
    return zlib.compress(_encoded(texts), 9)


def _encoded(texts: Sequence[KeptText]) -> bytes:
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
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def load_state(path: Path, cipher: StateCipher | None = None) -> MemoryState:
    """A saved state, verified, with the text and the notes that it carries.

    Args:
        path: The file.
        cipher: Opens it, if it is encrypted.

    Raises:
        StateError: If it is none, damaged, or its text or notes are.
    """
    from ..memory.state import MemoryState

    state = MemoryState.load(path, cipher)
    if ATTACHMENT in state.attachments:
        unpack(state.attachments[ATTACHMENT])
    if notes.ATTACHMENT in state.attachments:
        notes.unpack(state.attachments[notes.ATTACHMENT])
    return state


def forget(path: Path, cipher: StateCipher | None = None) -> tuple[MemoryState, int]:
    """Take the text, and whatever else travels along with it, out of a saved state; the memory stays.

    Args:
        path: The file; it is replaced.
        cipher: Opens it, if it is encrypted.

    Returns:
        What is left, and how many bytes were taken out.

    Raises:
        StateError: If it is no state, or damaged.
        InfiniError: If it cannot be written, or another process writes it.
    """
    from ..memory.reading_journal import ReadingJournal
    from ..memory.state import MemoryState

    # Text that is damaged can be forgotten as well.
    MemoryState.load(path, cipher)
    with ReadingJournal(path) as held:
        state = MemoryState.load(path, cipher)
        left = replace(state, attachments={})
        if state.attachments:
            held.write(left)
    return left, sum(map(len, state.attachments.values()))


def check_room(texts: Sequence[KeptText]) -> None:
    """Refuse more text than a state carries: before a night's reading, not after it.

    Raises:
        InfiniError: If there is more.
    """
    size, blocks = len(_encoded(texts)), sum(len(text.blocks) for text in texts)
    if size > MOST_TEXT or blocks > MOST_BLOCKS:
        raise InfiniError(
            f"{size / 1e6:,.0f} MB of text in {blocks:,} paragraphs is more than a state carries "
            f"({MOST_TEXT / 1e6:,.0f} MB, {MOST_BLOCKS:,})",
            "Read fewer documents into one state, or leave the text out with --no-text.",
        )


def unpack(content: bytes) -> list[KeptText]:
    """What `pack` made.

    Raises:
        StateError: If it is damaged, larger than any, or of another release.
    """
    try:
        text = _inflated(content)
        version = msgspec.json.decode(text, type=_Version).version
        if version not in _READABLE:
            raise StateError(
                f"the state carries text of version {version}; this release knows {_VERSION}",
                "Read the document again, or use the release that wrote the state.",
            )
        # Many short blocks take far more memory than their letters.
        if sum(1 for _ in _BLOCK_START.finditer(text)) > 2 * MOST_BLOCKS:
            raise ValueError("there are more blocks than a state has")
        sources = msgspec.json.decode(text, type=_Texts).sources
        if sum(len(source.blocks) for source in sources) > MOST_BLOCKS:
            raise ValueError("there are more blocks than a state has")
    except (ValueError, RecursionError, zlib.error) as error:
        raise StateError(
            "the text that the state carries is damaged", "Restore the state from a copy, or read the document again."
        ) from error
    return [
        KeptText(source.name, tuple(Block(one.text, one.page, one.heading, one.label) for one in source.blocks))
        for source in sources
    ]


def _inflated(content: bytes) -> bytes:
    """Decompressed bytes, never more than a state's text may have."""
    inflating = zlib.decompressobj()
    text = inflating.decompress(content, MOST_TEXT)
    if not inflating.eof or inflating.unused_data:
        raise ValueError("the text is cut short, or larger than any")
    return text
