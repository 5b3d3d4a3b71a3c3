"""EPUB, DOCX, HTML: small files made here, and hostile ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from infini_attention.documents import archive as archive_file
from infini_attention.documents import load_document, markup
from infini_attention.errors import InputError, UsageFailure

from benchmarks.torture.document_kinds import CONTAINER, PACKAGE, WORD, zipped

PAGE = """<!DOCTYPE html><html><head><title>Tale</title><style>p {color: red}</style></head><body>
<script>alert("evil")</script>
<h1>The Mill</h1><p>The miller came <b>early</b>. See <a href="https://example.invalid/x">the map</a>.</p>
<img src="https://example.invalid/p.png" alt="a mill"><h2>The River</h2><p>Nobody knew &amp; nobody asked.</p>
</body></html>"""


def epub() -> bytes:
    chapters = {
        f"{name}.xhtml": f"<html><body><h1>Chapter {name.upper()}</h1><p>Told in {name}.</p></body></html>"
        for name in "ab"
    }
    return zipped(
        {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "c.opf": PACKAGE, **chapters}
    )


def letter(body: str, *, main: str = "word/document.xml", **more: str) -> bytes:
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
        f'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="{main}"/>'
        "</Relationships>"
    )
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    document = f'<w:document xmlns:w="{WORD}" xmlns:m="{math}"><w:body>{body}</w:body></w:document>'
    return zipped({"_rels/.rels": relations, main: document, **more})


def docx(*paragraphs: str, heading: str = "The Mill") -> bytes:
    styled = f'<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>{heading}</w:t></w:r></w:p>'
    body = styled + "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    return letter(body)


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
        load_document(save(tmp_path, "more.epub", zipped({"a.txt": "no book"})))


@pytest.mark.parametrize("name", ["tale.epub", "tale.docx"])
def test_damaged_files_are_told_in_two_lines(name: str, tmp_path: Path) -> None:
    whole = epub() if name.endswith("epub") else docx("Text.")
    with pytest.raises(InputError, match="damaged") as caught:
        load_document(save(tmp_path, name, whole[: len(whole) // 2]))
    assert caught.value.hint
    container = "META-INF/container.xml" if name.endswith("epub") else "word/document.xml"
    with pytest.raises(InputError, match="cannot be read as") as caught:
        load_document(save(tmp_path, name, zipped({container: "<broken"})))
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


OPF = """<?xml version="1.0"?><opf:package xmlns:opf="http://www.idpf.org/2007/opf" version="2.0">
<opf:manifest><opf:item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>
<opf:item id="a" href="a%20b.xhtml" media-type="application/xhtml+xml"/></opf:manifest>
<opf:spine><opf:itemref idref="b"/><opf:itemref idref="a"/></opf:spine></opf:package>"""


def test_the_spine_of_a_book_is_read_by_its_namespace(tmp_path: Path) -> None:
    chapters = {"a b.xhtml": "<html><body><p>Told in a.</p></body></html>", "b.xhtml": "<html><p>Told in b.</p></html>"}
    book = zipped({"META-INF/container.xml": CONTAINER, "c.opf": OPF, **chapters})
    assert load_document(save(tmp_path, "tale.epub", book)).text == "Told in b.\n\nTold in a."


def test_a_book_that_gives_next_to_nothing_is_refused(tmp_path: Path) -> None:
    empty = {
        "a b.xhtml": f"<html><body><script>{'x' * 30_000}</script></body></html>",
        "b.xhtml": "<html><p>Hm.</p></html>",
    }
    book = zipped({"META-INF/container.xml": CONTAINER, "c.opf": OPF, **empty})
    with pytest.raises(InputError, match="cannot be read as epub"):
        load_document(save(tmp_path, "tale.epub", book))
    lost = zipped({"META-INF/container.xml": CONTAINER, "c.opf": OPF.replace("item ", "thing ")})
    with pytest.raises(InputError, match="cannot be read as epub"):
        load_document(save(tmp_path, "tale.epub", lost))


def test_the_main_part_of_a_letter_is_found_by_its_relationships(tmp_path: Path) -> None:
    body = "<w:p><w:r><w:t>The rate is </w:t></w:r><m:oMath><m:r><m:t>k=42</m:t></m:r></m:oMath></w:p>"
    text = load_document(save(tmp_path, "a.docx", letter(body, main="word/document2.xml"))).text
    assert "The rate is" in text and "k=42" in text


def test_emphasis_does_not_break_words(tmp_path: Path) -> None:
    runs = "<w:r><w:t>ware</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>hous</w:t></w:r><w:r><w:t>e, </w:t></w:r>"
    bold = '<w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">rent</w:t></w:r>'
    text = load_document(save(tmp_path, "a.docx", letter(f"<w:p>{runs}{bold}</w:p>"))).text
    assert "warehouse" in text and "rent" in text


def test_what_a_letter_loses_is_named(tmp_path: Path) -> None:
    comments = f'<w:comments xmlns:w="{WORD}"><w:comment w:id="0"><w:p><w:r><w:t>No.</w:t></w:r></w:p></w:comment></w:comments>'
    header = f'<w:hdr xmlns:w="{WORD}"><w:p><w:r><w:t>Draft</w:t></w:r></w:p></w:hdr>'
    data = letter(
        "<w:p><w:r><w:t>Text.</w:t></w:r></w:p>", **{"word/comments.xml": comments, "word/header1.xml": header}
    )
    notes = load_document(save(tmp_path, "a.docx", data)).notes
    assert any("comment" in note for note in notes) and any("header" in note for note in notes)


def test_an_empty_letter_is_told_without_a_line_of_the_libraries(tmp_path: Path) -> None:
    path = save(tmp_path, "a.docx", letter("<w:p/>"))
    code = "import sys; from infini_attention.documents import load_document as l\ntry: l(sys.argv[1], isolation=None)\nexcept Exception: pass"
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", ["navheader", "top nav", "breadcrumb"])
def test_navigation_is_known_by_its_class(tmp_path: Path, name: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<body class="nav"><div class="{name}">Prev Next</div><p class="navy">The text stays.</p></body>')
    assert load_document(str(page)).text.strip() == "The text stays."


def test_what_a_reader_does_not_see_is_left_out_and_counted(tmp_path: Path) -> None:
    page = (
        '<html><body><nav><a href="/">Home</a></nav><p>See <a href="https://x/Foo_(bar)">the page</a> and note'
        '<sup><a href="#n1">[1]</a></sup>.</p><div style="display: none">HIDDEN</div><p hidden>GONE</p></body></html>'
    )
    document = load_document(save(tmp_path, "a.html", page))
    assert document.text == "See the page and note1."
    assert any("3 hidden or navigation parts" in note for note in document.notes)
