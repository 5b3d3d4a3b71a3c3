"""EPUB, DOCX, HTML: small files made here, and hostile ones."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import pytest
from infini_attention.documents import archive as archive_file
from infini_attention.documents import load_document, markup
from infini_attention.errors import InputError, UsageFailure

PAGE = """<!DOCTYPE html><html><head><title>Tale</title><style>p {color: red}</style></head><body>
<script>alert("evil")</script>
<h1>The Mill</h1><p>The miller came <b>early</b>. See <a href="https://example.invalid/x">the map</a>.</p>
<img src="https://example.invalid/p.png" alt="a mill"><h2>The River</h2><p>Nobody knew &amp; nobody asked.</p>
</body></html>"""
CONTAINER = """<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Tale</dc:title></metadata>
<manifest><item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def archive(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def epub() -> bytes:
    chapters = {
        f"{name}.xhtml": f"<html><body><h1>Chapter {name.upper()}</h1><p>Told in {name}.</p></body></html>"
        for name in "ab"
    }
    return archive(
        **{"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "c.opf": PACKAGE}, **chapters
    )


def docx(*paragraphs: str, heading: str = "The Mill") -> bytes:
    styled = f'<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>{heading}</w:t></w:r></w:p>'
    body = styled + "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
        'Target="word/document.xml"/></Relationships>'
    )
    return archive(
        **{
            "[Content_Types].xml": types,
            "_rels/.rels": relations,
            "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
        }
    )


def save(folder: Path, name: str, content: bytes | str) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.mark.parametrize("name", ["page.html", "page.txt", "page"])
def test_a_page_is_its_text_with_headings_and_nothing_else(name: str, tmp_path: Path) -> None:
    document = load_document(save(tmp_path, name, PAGE))
    assert document.kind == "html" and document.pages is None and document.extractor.startswith("markitdown ")
    headings = [block.heading for block in document.blocks]
    assert headings[0] == "The Mill" and headings[-1] == "The River"
    assert "The miller came **early**. See the map." in document.text and "Nobody knew & nobody asked." in document.text
    for left_out in ("evil", "alert", "color", "https", "]("):
        assert left_out not in document.text


def test_chapters_of_an_epub_come_in_reading_order(tmp_path: Path) -> None:
    document = load_document(save(tmp_path, "tale.epub", epub()))
    assert document.kind == "epub"
    assert document.text.index("Told in a.") < document.text.index("Told in b.")
    assert {block.heading for block in document.blocks} >= {"Chapter A", "Chapter B"}


def test_a_word_document_has_its_headings(tmp_path: Path) -> None:
    document = load_document(save(tmp_path, "letter.docx", docx("The miller came.", "Nobody knew.")))
    assert document.kind == "docx"
    assert [block.text for block in document.blocks] == ["# The Mill", "The miller came.", "Nobody knew."]
    assert document.blocks[-1].heading == "The Mill"


def test_kinds_are_told_by_content(tmp_path: Path) -> None:
    assert load_document(save(tmp_path, "tale.pdf.bak", epub())).kind == "epub"
    assert load_document(save(tmp_path, "notes.txt", "Write <html> first.")).kind == "text"
    with pytest.raises(InputError, match="ZIP archive"):
        load_document(save(tmp_path, "more.epub", archive(**{"a.txt": "no book"})))


@pytest.mark.parametrize("name", ["tale.epub", "tale.docx"])
def test_damaged_files_are_told_in_two_lines(name: str, tmp_path: Path) -> None:
    whole = epub() if name.endswith("epub") else docx("Text.")
    with pytest.raises(InputError, match="damaged") as caught:
        load_document(save(tmp_path, name, whole[: len(whole) // 2]))
    assert caught.value.hint
    container = "META-INF/container.xml" if name.endswith("epub") else "word/document.xml"
    with pytest.raises(InputError, match="cannot be read as") as caught:
        load_document(save(tmp_path, name, archive(**{container: "<broken"})))
    assert "\n" not in str(caught.value)


def test_what_unfolds_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = save(tmp_path, "bomb.docx", docx("0" * 2_000_000))
    monkeypatch.setattr(archive_file, "MOST_OF_ONE", 2**20)
    with pytest.raises(InputError, match="unfolds to"):
        load_document(bomb, isolation=None)
    monkeypatch.setattr(markup, "MOST_PACKED", 1000)
    with pytest.raises(InputError, match="is an archive of"):
        load_document(bomb)
    # A long text is no archive: it is read at any size.
    assert load_document(save(tmp_path, "long.txt", "word " * 10_000)).kind == "text"


def test_no_text_no_pages_and_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="has no text"):
        load_document(save(tmp_path, "empty.html", "<!doctype html><html><body><script>x</script></body></html>"))
    from infini_attention.documents import PageSelection

    with pytest.raises(UsageFailure, match="no pages"):
        load_document(save(tmp_path, "page.html", PAGE), pages=PageSelection.parse("1"))
    monkeypatch.setitem(sys.modules, "markitdown", None)
    with pytest.raises(InputError, match="needs the package markitdown") as caught:
        load_document(save(tmp_path, "page.html", PAGE))
    assert "infini[documents]" in caught.value.hint


@pytest.mark.parametrize("address", ["https://example.invalid/book.pdf", "ftp://host/x", "file:///etc/passwd"])
def test_addresses_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="nothing is fetched"):
        load_document(address)
