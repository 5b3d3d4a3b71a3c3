"""Members of a ZIP archive, unfolded within limits: what an archive says of its sizes is not believed."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterable
from urllib.parse import unquote

from lxml import etree

# Bytes that one member and all members together may unfold to, and how many there may be.
MOST_OF_ONE = 64 * 2**20
MOST_OF_ALL = 256 * 2**20
MOST_MEMBERS = 20_000
_CHUNK = 1 << 20


class TooLarge(Exception):
    """An archive unfolds to more than a document has."""


class Archive:
    """An archive that is read a member at a time.

    Attributes:
        names: Of the members.
    """

    def __init__(self, data: bytes) -> None:
        """Open an archive.

        Raises:
            zipfile.BadZipFile: If it is none.
            TooLarge: If it has too many members.
        """
        self._file = zipfile.ZipFile(io.BytesIO(data))
        self.names = frozenset(info.filename for info in self._file.infolist())
        self._left = MOST_OF_ALL
        if len(self._file.infolist()) > MOST_MEMBERS:
            raise TooLarge

    def read(self, name: str) -> bytes:
        """A member's bytes.

        Raises:
            KeyError: If there is no such member.
            zipfile.BadZipFile: If it is damaged.
            TooLarge: If it, or all that was read so far, is too large.
        """
        parts: list[bytes] = []
        size = 0
        try:
            with self._file.open(name) as member:
                while part := member.read(_CHUNK):
                    size += len(part)
                    self._left -= len(part)
                    if size > MOST_OF_ONE or self._left < 0:
                        raise TooLarge
                    parts.append(part)
        except (zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise zipfile.BadZipFile(str(error)) from error
        return b"".join(parts)

    def xml(self, name: str) -> etree._Element:
        """A member as XML, whose entities are not resolved.

        Raises:
            ValueError: If it is no XML.
            KeyError, zipfile.BadZipFile, TooLarge: As for `read`.
        """
        parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)
        try:
            root = etree.fromstring(self.read(name), parser)
        except etree.LxmlError as error:
            raise ValueError(f"{name}: {error}") from error
        if root is None:
            raise ValueError(f"{name} is no XML")
        return root

    def beside(self, name: str, target: str) -> str:
        """The name of a member that another one refers to."""
        path = unquote(target.split("#")[0])
        joined = path.lstrip("/") if path.startswith("/") else posixpath.join(posixpath.dirname(name), path)
        return posixpath.normpath(joined)

    def only(self, names: Iterable[str]) -> bytes:
        """A new archive with these members and no other.

        Raises:
            KeyError, zipfile.BadZipFile, TooLarge: As for `read`.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
            for name in names:
                file.writestr(name, self.read(name))
        return buffer.getvalue()


def local_name(element: etree._Element) -> str:
    """An element's name without its namespace; empty for comments and the like."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""
