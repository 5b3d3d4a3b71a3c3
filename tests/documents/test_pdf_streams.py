"""Whether a PDF is sound is told from its bytes, and pypdf is left out only where it is."""

from __future__ import annotations

import io
import zlib

import pytest
from document_helpers import break_page_content, cut_page_content, encrypt, load, make_pdf
from infini_attention.documents.pdf_streams import soundness
from pypdf import PdfWriter


def rewritten(*, outline: bool = False) -> bytes:
    """Two pages whose content is deflated and nothing else."""
    story = make_pdf([["He came to the river."], ["He saw a boat."]], outline=[(1, "The Ford")] if outline else [])
    writer = PdfWriter(clone_from=io.BytesIO(story))
    for page in writer.pages:
        page.compress_content_streams()
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


SOUND = rewritten()


def test_a_file_of_whole_streams_is_sound() -> None:
    assert soundness(SOUND).sound
    assert soundness(rewritten(outline=True)).outline


def test_a_sound_file_is_read_without_pypdf(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(SOUND).text

    def fail(*_: object) -> None:
        raise AssertionError("pypdf was asked")

    monkeypatch.setattr("infini_attention.documents.pdf_pypdf.PypdfPages.__init__", fail)
    assert load(SOUND).text == expected
    assert "boat" in expected


@pytest.mark.parametrize(
    "data",
    [
        break_page_content(SOUND, 2),
        cut_page_content(SOUND, 2, keep=0.5),
        encrypt(SOUND, "river"),
        SOUND[: len(SOUND) // 2],
        SOUND + b"x",
        SOUND.replace(b"/Contents ", b"/Contents 9", 1),
        SOUND.replace(b"/FlateDecode", b"/A85", 1),
        b"",
    ],
    ids=["broken", "cut", "encrypted", "half a file", "more behind the end", "missing", "another filter", "empty"],
)
def test_of_any_other_file_it_is_not_known(data: bytes) -> None:
    assert not soundness(data).sound


@pytest.mark.parametrize(("page", "sound"), [(b"/Contents 5 0 R", True), (b"/Contents [5 0 R 6 0 R]", False)])
def test_pages_are_found_in_streams_of_objects(page: bytes, sound: bool) -> None:
    streams = [(4, b"/Type/ObjStm/N 1/First 4", b"3 0 <</Type/Page" + page + b">>"), (5, b"", b"BT ET")]
    data = b"%PDF-1.5\n"
    for number, entries, text in streams:
        body = zlib.compress(text)
        data += b"%d 0 obj\n<<%b/Filter/FlateDecode/Length %d>>\nstream\n" % (number, entries, len(body))
        data += body + b"\nendstream\nendobj\n"
    assert soundness(data + b"startxref\n9\n%%EOF\n").sound is sound
