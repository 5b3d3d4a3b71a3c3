"""Small whole documents of every kind, and ways to spoil them that know what they are made of."""

from __future__ import annotations

import io
import random
import re
import zipfile
import zlib
from collections.abc import Mapping

from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A5  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from benchmarks.torture.tiny import SENTENCES, book

CONTAINER = """<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Tale</dc:title></metadata>
<manifest><item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)
# Operators, names and numbers that a PDF's objects and pages are made of.
_PDF_WORDS = (
    *(b"/Kids", b"/Parent", b"/Contents", b"/Length", b"/Filter", b"/FlateDecode", b"/LZWDecode", b"/ASCII85Decode"),
    *(b"/Type", b"/Font", b"/XObject", b"/Resources", b"/Encoding", b"/ToUnicode", b"/MediaBox", b"/Count", b"/Prev"),
    *(b"1 0 R", b"2 0 R", b"3 0 R", b"99 0 R", b"endobj", b"stream\n", b"endstream", b"<<", b">>", b"[", b"]", b"("),
    *(b"-1", b"0", b"4294967295", b"99999999999999999999", b"1e400", b"Tj", b"BT", b"ET", b"q", b"Q", b"cm", b"/X Do"),
)
_MARKUP_WORDS = (
    *(
        "<",
        ">",
        "</p>",
        "<p>",
        "<div>" * 300,
        "<table><tr><td>",
        "</body>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "&",
        ";",
    ),
    *("&#x110000;", "&#0;", "&lol;", "<script>", "<svg><a>", "[" * 500, "](" * 300, "#" * 500, "*" * 500, "|" * 300),
    *(
        '<!DOCTYPE a [<!ENTITY x "y">]>',
        "\x00",
        "\ufeff",
        "\u202e",
        "\ud800",
        "<a href='" + "x" * 9000,
        "\\" * 300,
        "`" * 99,
    ),
)


def _pdf() -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A5, pageCompression=1, invariant=1)
    for page in range(4):
        canvas.bookmarkPage(f"p{page}")
        canvas.addOutlineEntry(f"Chapter {page}", f"p{page}")
        canvas.setFont(("Helvetica", "Times-Roman", "Courier", "Helvetica-Bold")[page], 11)
        for line, sentence in enumerate(SENTENCES):
            canvas.drawString(40, 540 - 14 * line, sentence[:60])
        canvas.drawString(200, 20, str(page + 1))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _rewritten(data: bytes, *, secret: bool) -> bytes:
    """The same PDF with its content streams as they are, or encrypted with an empty password."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    if secret:
        writer.encrypt("", "owner", algorithm="RC4-128")
    else:
        for page in writer.pages:
            content = page.get_contents()
            assert content is not None
            plain = content.get_data()
            page.compress_content_streams(level=0)
            assert plain
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive of these."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def _html() -> str:
    body = "".join(f"<h2>Part {number}</h2><p>{text} <b>So</b> &amp; so.</p>" for number, text in enumerate(SENTENCES))
    table = "<table><tr><th>a</th><td>1</td></tr></table><ul><li>one</li><li>two</li></ul>"
    return f"<!DOCTYPE html><html><head><title>Tale</title></head><body><h1>The Mill</h1>{body}{table}</body></html>"


def _epub() -> bytes:
    chapters = {
        f"{name}.xhtml": f"<html><body><h1>{name}</h1><p>{' '.join(SENTENCES)}</p></body></html>" for name in "ab"
    }
    return zipped(
        {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "c.opf": PACKAGE, **chapters}
    )


def _docx() -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in SENTENCES)
    head = '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>The Mill</w:t></w:r></w:p>'
    document = f'<w:document xmlns:w="{WORD}"><w:body>{head}{body}</w:body></w:document>'
    return zipped({"[Content_Types].xml": _TYPES, "_rels/.rels": _RELATIONS, "word/document.xml": document})


def corpus() -> dict[str, list[bytes]]:
    """Whole documents by the ending of their names."""
    text, pdf = book(6), _pdf()
    markdown = "# The Mill\n\n" + text.replace("1. ", "## One\n\n* ") + "\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    return {
        ".pdf": [pdf, _rewritten(pdf, secret=False), _rewritten(pdf, secret=True)],
        ".epub": [_epub()],
        ".docx": [_docx()],
        ".html": [_html().encode(), ("<?xml version='1.0' encoding='utf-16'?>" + _html()).encode("utf-16")],
        ".txt": [text.encode(), text.encode("utf-16"), text.replace("e", "\xe9").encode("latin-1")],
        ".md": [markdown.encode()],
    }


def spoiled(data: bytes, ending: str, draw: random.Random) -> bytes:
    """A document changed as somebody would who knows its kind."""
    if ending == ".pdf":
        return _spoiled_pdf(data, draw)
    if ending in (".epub", ".docx"):
        return _spoiled_archive(data, draw)
    return _spoiled_text(data, draw)


def _spoiled_pdf(data: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.3:
        return _spoiled_stream(data, draw)
    for _ in range(draw.choice((1, 2, 6))):
        words = list(re.finditer(rb"/[A-Za-z]+|\d+ 0 R|-?\d+|<<|>>|\[|\]|obj|endobj|stream", data))
        if not words:
            break
        word = draw.choice(words)
        start, end = word.span()
        other = draw.choice((*_PDF_WORDS, draw.choice(words)[0]))
        data = data[:start] + draw.choice((other, other + b" " + word[0], b"")) + data[end:]
    return data


def _spoiled_stream(data: bytes, draw: random.Random) -> bytes:
    """What a page or a font is made of, changed and packed again; lengths are not told of it."""
    streams = list(re.finditer(rb"stream\r?\n(.*?)\r?\n?endstream", data, re.DOTALL))
    if not streams:
        return data
    stream = draw.choice(streams)
    try:
        plain, pack = zlib.decompress(stream[1]), True
    except zlib.error:
        plain, pack = stream[1], False
    plain = plain or b" "
    for _ in range(draw.choice((1, 3, 10))):
        place = draw.randrange(len(plain))
        more = draw.choice((*_PDF_WORDS, b"q " * 5000, b"[" * 3000, b"(" * 3000, b"<" * 3000, draw.randbytes(30)))
        plain = plain[:place] + more + plain[place + draw.choice((0, 4, 50)) :] or b" "
    if draw.random() < 0.05:
        plain += b" " * (200 << 20)
    content = zlib.compress(plain, 1) if pack else plain
    return data[: stream.start(1)] + content + data[stream.end(1) :]


def _spoiled_archive(data: bytes, draw: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    name = draw.choice(sorted(members))
    content = members[name]
    assert isinstance(content, bytes)
    kind = draw.randrange(8)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[draw.choice((name + "x", "../" + name, name.upper()))] = members.pop(name)
    elif kind == 2:
        members[name] = content + b" " * draw.choice((10, 70 << 20))
    elif kind == 3:
        place = draw.randrange(len(content) + 1)
        depth = draw.choice((100, 3000))
        members[name] = content[:place] + b"<w:p><div>" * depth + content[place:]
    else:
        members[name] = _spoiled_text(content, draw)
    return zipped(members)


def _spoiled_text(data: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.choice((1, 2, 8))):
        place = draw.randrange(len(data) + 1)
        word = draw.choice(_MARKUP_WORDS).encode("utf-8", "surrogatepass")
        data = data[:place] + word * draw.choice((1, 1, 30)) + data[place + draw.choice((0, 1, 20, 200)) :]
    return data
