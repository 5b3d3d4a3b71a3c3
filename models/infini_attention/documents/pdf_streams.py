"""Whether a PDF is sound, told from its bytes.

To find out what a page lost, pypdf must read the whole page tree, which in a long document takes as long as reading
its text. Where every stream is whole and none is missing no page has lost anything, and it need not be asked.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_OBJECT = re.compile(rb"([0-9]{1,10})\s+[0-9]{1,5}\s+obj\b")
_LENGTH = re.compile(rb"/Length\s+([0-9]{1,10})\b(?!\s+[0-9]+\s+R)")
_FILTER = re.compile(rb"/Filter\s*(?:\[\s*)?(/[A-Za-z0-9]+)?")
_CONTENTS = re.compile(rb"/Contents\b\s*(?:([0-9]{1,10})\s+[0-9]+\s+R|\[([^\]]*)\])")
_REFERENCE = re.compile(rb"([0-9]{1,10})\s+[0-9]+\s+R\b")
_END = re.compile(rb"startxref\s+[0-9]{1,12}\s+%%EOF\s*\Z")
# Pictures, fonts and indices are no page's content, and most of a file.
_NO_CONTENT = re.compile(rb"/Image\b|/Length1\b|/Type1C\b|/CIDFontType0C\b|/OpenType\b|/XRef\b")
_DEFLATED = (b"/FlateDecode", b"/Fl")
_TOLD_BY_LIBRARY = (b"/ASCII85Decode", b"/A85", b"/ASCIIHexDecode", b"/AHx", b"/Crypt")
_RAW_DEFLATE = -15
# More in one stream is no text; more in all of them takes too long to look at.
_MOST_UNFOLDED = 64 << 20
_MOST_IN_ALL = 256 << 20
_END_LENGTH = 2048
# Between the end of a stream and the word for it, in bytes.
_END_OF_LINE = 2


@dataclass(frozen=True)
class Soundness:
    """What a file's bytes tell.

    Attributes:
        sound: Whether all content that its pages name is there and whole; False where that is not known.
        outline: Whether it may have bookmarks.
    """

    sound: bool
    outline: bool


_UNKNOWN = Soundness(sound=False, outline=True)


def soundness(data: bytes) -> Soundness:
    """Look at a whole file once. Of an encrypted one nothing is known."""
    if b"/Encrypt" in data or not _END.search(data, max(0, len(data) - _END_LENGTH)):
        return _UNKNOWN
    try:
        return _soundness(data)
    except (ValueError, zlib.error):
        return _UNKNOWN


def _soundness(data: bytes) -> Soundness:
    whole: set[bytes] = set()
    named: set[bytes] = set()
    outline = False
    unfolded = 0
    for between, number, body in _parts(data):
        texts = [between]
        if body is not None and not _NO_CONTENT.search(between, between.rfind(b"obj")):
            text = _unfolded(between, body)
            unfolded += len(text)
            if unfolded > _MOST_IN_ALL:
                raise ValueError("too much to look at")
            whole.add(number)
            if b"/ObjStm" in between:
                texts.append(text)
        for text in texts:
            outline = outline or b"/Outlines" in text
            for one, several in _CONTENTS.findall(text):
                named.update([one] if one else _REFERENCE.findall(several))
    return Soundness(named <= whole, outline) if named else _UNKNOWN


def _parts(data: bytes) -> Iterator[tuple[bytes, bytes, bytes | None]]:
    """What stands before each stream with its own dictionary last, its object's number, and the stream; then the rest."""
    position = 0
    while (found := _STREAM.search(data, position)) is not None:
        between = data[position : found.start()]
        objects = _OBJECT.findall(between)
        dictionary = between[between.rfind(b"obj") :]
        length = _LENGTH.search(dictionary)
        told = found.end() if length is None else found.end() + int(length[1])
        end = data.find(b"endstream", told)
        if end < 0 or not objects or (length is not None and end - told > _END_OF_LINE):
            raise ValueError("a stream's end is not where the file says")
        yield between, objects[-1], data[found.end() : end]
        position = end
    yield data[position:], b"", None


def _unfolded(between: bytes, body: bytes) -> bytes:
    """What a stream says, or its bytes where it is not deflated.

    Raises:
        zlib.error: If it is broken.
        ValueError: If its end is missing, or that is not known.
    """
    name = _FILTER.search(between, between.rfind(b"obj"))
    if name is None:
        return body
    if name[1] is None or name[1] in _TOLD_BY_LIBRARY:
        raise ValueError("only a library can tell")
    if name[1] not in _DEFLATED:
        return body
    decompressor = zlib.decompressobj(_RAW_DEFLATE)
    text = decompressor.decompress(body[2:], _MOST_UNFOLDED)
    if not decompressor.eof:
        raise ValueError("a stream is cut short, or too long to look at")
    return text
