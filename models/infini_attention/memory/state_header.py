"""The header of a state file: its fields, and what each of them may hold.

A digest says that nothing broke, not who made the file. So every field is checked before anything is made of it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

# Bytes of the header as JSON: about ten thousand documents.
MOST_HEADER = 4 << 20

# JSON's integers are exact in every reader up to here.
_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Name = Annotated[str, Meta(min_length=1, max_length=4096)]
_Mark = Annotated[str, Meta(min_length=1, max_length=256)]
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class OriginFields(msgspec.Struct, forbid_unknown_fields=True):
    """See ``state.Origin``."""

    model: _Name
    base: _Mark
    adapter: _Mark
    config: _Mark


class SourceFields(msgspec.Struct, forbid_unknown_fields=True):
    """See ``state.Source``."""

    name: _Name
    kind: _Mark
    sha256: _Sha256
    pages: _Count | None
    tokens: _Count
    extractor: _Mark


class HeaderFields(msgspec.Struct, forbid_unknown_fields=True):
    """Everything in a file but tensors and attachments, with a digest over all.

    Attributes:
        format, version: tell what kind of file it is.
        origin: the model that the state belongs to.
        tokens: tokens read, the open segment's included.
        segments: segments closed.
        sources: documents read, in order.
        digest: SHA-256 (hex) over the other fields and all tensors.
    """

    format: str
    version: int
    origin: OriginFields
    tokens: _Count
    segments: _Count
    sources: list[SourceFields]
    digest: _Sha256

    def digested(self) -> dict[str, Any]:
        """The fields that the digest is over, as plain JSON values."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        del values["digest"]
        return values


class _Kind(msgspec.Struct):
    format: str
    version: int


def kind_of(text: str) -> tuple[str, int]:
    """Format and version that a header tells, whatever else it holds.

    Raises:
        ValueError: it tells none.
    """
    if len(text) > MOST_HEADER:
        raise ValueError(f"a header of {len(text)} characters is longer than any")
    kind = msgspec.json.decode(text, type=_Kind)
    return kind.format, kind.version


def read_header(text: str) -> HeaderFields:
    """The header of a file of this version.

    Raises:
        ValueError: a field is missing, unknown, of another type, or out of its bounds.
    """
    return msgspec.json.decode(text, type=HeaderFields)
