"""Plain text and Markdown: from bytes in any encoding to blocks with headings."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass

from ..errors import InputError
from .chapter_lines import openings
from .model import Block, Kind, OutlineItem

_BOMS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
# Encodings of seven bits that switch between alphabets by escapes, and an escape that only they have.
_SWITCHED = (
    (re.compile(rb"\x1b(?:\$[@B]|\(J|\$\(D)"), "iso2022_jp_2"),
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
)
# Bytes beyond ASCII tell the encoding: so many lines with some are looked at.
_SAMPLE = 200_000
_WIDEST = "Windows-1252"
_LIKELY = 0.85
_SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive or an office document", "Save what is inside as PDF or text first."),
    (b"\xd0\xcf\x11\xe0", "an old office document", "Save it as PDF or plain text first."),
    (b"\x1f\x8b", "compressed with gzip", "Uncompress it first: gunzip -c FILE | infini ..."),
    (b"\x89PNG", "an image", "Recognise its text first, for example with: ocrmypdf image.png text.pdf"),
    (b"\xff\xd8\xff", "an image", "Recognise its text first, for example with: ocrmypdf image.jpg text.pdf"),
)
_BINARY_HINT = "Give a PDF, a Markdown file or plain text; save other formats as one of these."
_MOSTLY_CONTROL = 0.1
_LOW = bytes(set(range(32)) - set(b"\t\n\v\f\r"))
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
# Sequences that drive a terminal: CSI, OSC and the like with their text, and what else begins with ESC.
_ESCAPES = re.compile(
    "\x1b\\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b[\\]PX^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\\\|\x9c)?|\x1b[ -/]{0,8}[0-~]?"
)
_OVERSTRUCK = re.compile("[^\n\x08]\x08")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")
_SETEXT = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})")
_MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdown", ".mkd")


@dataclass(frozen=True)
class Decoded:
    """Text and how it was decoded.

    Attributes:
        text: Characters with line ends as `\\n`, without a byte order mark.
        encoding: Codec name.
        guessed_by: What guessed the encoding, with its version; None if nothing had to be guessed.
        replaced: Bytes or runs of bytes that stand as U+FFFD because they are not valid.
    """

    text: str
    encoding: str
    guessed_by: str | None = None
    replaced: int = 0


def decode(data: bytes, name: str) -> Decoded:
    """Decode the bytes of a text file.

    Args:
        data: The whole file.
        name: Its name, for the message of the error.

    Raises:
        InputError: If the bytes are no text, or in an encoding that cannot be told.
    """
    decoded = _decode_marked(data) or _decode_wide(data)
    if decoded is None:
        if _low_share(data) > _MOSTLY_CONTROL and b"\x1b" not in data:
            raise _binary(data, name)
        decoded = _decode_switched(data) or _decode_utf8(data) or _guess(data, name)
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
    if _control_share(_ESCAPES.sub("", text)) > _MOSTLY_CONTROL:
        raise _binary(data, name)
    return Decoded(text, decoded.encoding, decoded.guessed_by, decoded.replaced)


def without_control(text: str) -> tuple[str, int]:
    """Text without what drives a terminal or cannot be seen: escape sequences, control characters, overrides of direction.

    Tabs, line ends and form feeds stay.

    Returns:
        The text, and how many sequences and characters were taken out.
    """
    text = re.sub("[\v\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    text, escapes = _ESCAPES.subn("", text)
    text, overstruck = _OVERSTRUCK.subn("", text)
    text, characters = _CONTROL.subn("", text)
    return text, escapes + overstruck + characters


def looks_like_markdown(text: str, name: str) -> bool:
    """Whether text is Markdown: by its name's ending, or by at least two headings that stand alone."""
    if name.lower().endswith(_MARKDOWN_SUFFIXES):
        return True
    lines = ["", *text.splitlines(), ""]
    alone = sum(
        1
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False)
        if not before.strip() and not after.strip() and _ATX.fullmatch(line)
    )
    return alone >= 2


def split_blocks(text: str, kind: Kind) -> tuple[Block, ...]:
    """Cut text at its blank lines; a fenced code block of Markdown stays whole. The text is kept as it is."""
    blocks: list[Block] = []
    heading: str | None = None
    paragraphs = _paragraphs(text, markdown=kind == "markdown")
    opened = openings(paragraphs) if kind != "markdown" else {}
    for number, lines in enumerate(paragraphs):
        if kind == "markdown":
            titles = _markdown_titles(lines)
            heading = titles[-1][0] if titles else heading
        else:
            heading = opened.get(number, heading)
        blocks.append(Block("\n".join(lines), None, heading))
    return tuple(blocks)


def markdown_outline(text: str) -> tuple[OutlineItem, ...]:
    """The headings of Markdown, in order."""
    items = []
    for lines in _paragraphs(text, markdown=True):
        for title, level in _markdown_titles(lines):
            items.append(OutlineItem(title, level))
    return tuple(items)


def _paragraphs(text: str, *, markdown: bool) -> list[list[str]]:
    paragraphs: list[list[str]] = []
    lines: list[str] = []
    fence: str | None = None
    for raw in text.replace("\f", "\n\n").split("\n"):
        line = raw.rstrip()
        match = _FENCE.match(line) if markdown else None
        if match is not None:
            mark = match["fence"]
            if fence is None:
                fence = mark
            elif mark.startswith(fence) and line.strip() == mark:
                fence = None
        if line or (fence is not None and lines):
            lines.append(line)
        elif lines:
            paragraphs.append(lines)
            lines = []
    while lines and not lines[-1]:
        lines.pop()
    if lines:
        paragraphs.append(lines)
    return paragraphs


def _markdown_titles(lines: list[str]) -> list[tuple[str, int]]:
    """The headings in a paragraph, each with its level."""
    if _FENCE.match(lines[0]):
        return []
    titles = [
        (title, len(match[1]))
        for line in lines
        if (match := _ATX.fullmatch(line)) and (title := match[2].rstrip(" \t").rstrip("#").rstrip(" \t"))
    ]
    if titles:
        return titles
    underlined = len(lines) >= 2 and _SETEXT.fullmatch(lines[1]) is not None
    if not underlined or lines[0].lstrip()[0] in "|>-*":
        return []
    return [(lines[0].strip(), 1 if "=" in lines[1] else 2)]


def _decode_marked(data: bytes) -> Decoded | None:
    for mark, codec in _BOMS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(codec, errors="replace")
            return Decoded(text, codec, replaced=text.count("\ufffd"))
    return None


def _decode_wide(data: bytes) -> Decoded | None:
    """UTF-16 or UTF-32 without a mark: shown by NUL bytes that all stand at the same place of each unit."""
    if b"\0" not in data:
        return None
    for codec in _WIDE:
        if len(data) % (4 if "32" in codec else 2):
            continue
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and _is_plausible(text):
            return Decoded(text, codec)
    return None


def _is_plausible(text: str) -> bool:
    """Random pairs of bytes read as UTF-16 are full of unassigned characters and have hardly any spaces."""
    sample = text[:20_000]
    odd = sum(1 for c in sample if unicodedata.category(c) in ("Cn", "Co", "Cc") and c not in "\t\n\r\f")
    common = sum(1 for c in sample if c.isspace() or (c.isascii() and c.isalnum()) or c in "、。，")
    return odd * 100 <= len(sample) and common * 20 >= len(sample)


def _decode_utf8(data: bytes) -> Decoded | None:
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", errors="replace")
    # A few damaged bytes in a file that is plainly UTF-8 must not turn the rest of it into another encoding.
    wrong = text.count("\ufffd")
    right = sum(1 for c in text if ord(c) > 0x7F) - wrong
    return Decoded(text, "utf-8", replaced=wrong) if right >= 10 * wrong else None


def _decode_switched(data: bytes) -> Decoded | None:
    for escape, codec in _SWITCHED:
        if escape.search(data):
            try:
                return Decoded(data.decode(codec), codec)
            except UnicodeDecodeError:
                continue
    return None


def _guess(data: bytes, name: str) -> Decoded:
    import chardet

    telling = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:_SAMPLE]
    found = [
        (answer["encoding"], answer["confidence"])
        for answer in chardet.detect_all(telling)
        if answer["encoding"] is not None and not _has_upper_control(telling, answer["encoding"])
    ]
    if not found:
        raise _binary(data, name)
    # Short Western texts fit several code pages about equally well; the one in widest use is the best bet then.
    likely = [encoding for encoding, confidence in found if confidence >= _LIKELY * found[0][1]]
    encoding = _WIDEST if _WIDEST in likely else likely[0]
    codec = codecs.lookup(encoding).name
    text = data.decode(codec, errors="replace")
    return Decoded(text, codec, f"chardet {chardet.__version__}", text.count("\ufffd"))


def _has_upper_control(data: bytes, encoding: str) -> bool:
    """Whether bytes read so have control characters that nobody writes: then they are letters in another code page."""
    return any("\x80" <= letter <= "\x9f" and letter != "\x85" for letter in data.decode(encoding, errors="replace"))


def _low_share(data: bytes) -> float:
    low = len(data) - len(data.translate(None, _LOW))
    return low / len(data) if data else 0.0


def _control_share(text: str) -> float:
    control = sum(1 for c in text if (c < " " and c not in "\t\n\r\f\v") or "\x7f" <= c < "\xa0")
    return control / len(text) if text else 0.0


def _binary(data: bytes, name: str) -> InputError:
    for signature, what, hint in _SIGNATURES:
        if data.startswith(signature):
            return InputError(f"{name} is {what}, not a text", hint)
    return InputError(f"{name} is a binary file, not a text", _BINARY_HINT)
