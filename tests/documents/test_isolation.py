"""Documents that would eat the machine: parsed in a process with bounds, which dies alone."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from document_helpers import encrypt, load, make_pdf, raw_pdf
from infini_attention.documents import PageSelection, isolation
from infini_attention.documents.isolation import Isolation, Stopped, run
from infini_attention.errors import InputError, UsageFailure
from pypdf import PdfReader, PdfWriter

BOUNDS = Isolation(seconds=20, memory=600 << 20)
STORY = [[f"On day {word} the miller came to the river and he saw", "a boat."] for word in ("one", "two", "three")]
PLAIN = make_pdf(STORY)


def with_page(data: bytes, page: bytes, place: int) -> bytes:
    """A PDF with the first page of another one put in."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.insert_page(PdfReader(io.BytesIO(page)).pages[0], place)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_the_same_document_comes_out_of_the_process() -> None:
    assert load(PLAIN, isolation=BOUNDS) == load(PLAIN)
    locked = encrypt(PLAIN, "river")
    assert load(locked, isolation=BOUNDS, ask_password=lambda name: "river").text == load(PLAIN).text
    with pytest.raises(InputError, match="encrypted"):
        load(locked, isolation=BOUNDS)
    with pytest.raises(UsageFailure, match="outside"):
        load(PLAIN, isolation=BOUNDS, pages=PageSelection.parse("7"))


def test_a_page_that_takes_too_much_memory_is_named_and_the_others_are_read() -> None:
    bomb = raw_pdf(zlib.compress(b" " * (1 << 30), 1), stream=b"/Filter/FlateDecode")
    document = load(with_page(PLAIN, bomb, 1), isolation=BOUNDS)
    assert document.failed_pages == (2,)
    assert [block.page for block in document.blocks] == [1, 3, 4]
    assert "page 2 could not be read: it takes too much time or memory" in document.notes


def test_a_page_that_takes_too_long_is_named_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = (
        "from {package} import pdf_extract; import time; whole = pdf_extract.messages\n"
        "def slow(data, request):\n"
        "    for message in whole(data, request):\n"
        "        time.sleep(60 * (message.get('number') == 2)); yield message\n"
        "pdf_extract.messages = slow; main()"
    )
    start, _, _ = isolation._START.rpartition("main()")
    monkeypatch.setattr(isolation, "_START", start + "\n" + slow)
    began = time.monotonic()
    document = load(PLAIN, isolation=Isolation(seconds=4.0))
    assert time.monotonic() - began < 30
    assert document.failed_pages == (2,) and [block.page for block in document.blocks] == [1, 3]
    assert "page 2 could not be read: it takes too much time or memory" in document.notes


def test_a_form_within_itself_ends_in_an_error() -> None:
    form = b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>/Length 11>>stream\n/X Do /X Do\nendstream"
    data = raw_pdf(b"/X Do", more=form).replace(b"/Font<</F1 5 0 R>>", b"/XObject<</X 6 0 R>>")
    with pytest.raises(InputError):
        load(data, isolation=BOUNDS)


def test_a_tree_of_pages_that_unfolds_without_end_is_cut() -> None:
    level = b"<</Type/Pages/Count 1000000000/Kids[%d 0 R %d 0 R]>>"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", *(level % (number + 3, number + 3) for number in range(40))]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, text) for number, text in enumerate(objects, 1))
    with pytest.raises(InputError):
        load(b"%PDF-1.4\n" + body + b"42 0 obj\n<</Type/Page>>\nendobj\ntrailer<</Root 1 0 R>>", isolation=BOUNDS)


def test_a_process_that_is_slow_is_ended() -> None:
    request = {"name": "a", "kind": "html"}
    slow = b"<html><body>" + b"<p>word</p>" * 400_000
    with pytest.raises(Stopped, match="seconds"):
        list(run("markup", request, slow, Isolation(seconds=1.0)))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.md", b"# a " + b"# " * 100_000 + b"b"),
        ("a.md", b"[" * 200_000),
        ("a.md", b"<!-- " * 30_000),
        ("a.md", b"# H\n\ntext\n\n" * 20_000),
        ("a.html", b"<!-- a -->" * 400 + b"<!-- <html>"),
        ("a.html", b"<html><body><p>" + b"[" * 200_000),
        ("a.html", b"<html><body>" + b"<div>word " * 10_000),
        ("a.html", b"<html><body>" + b"<b>word " * 10_000),
        ("a.txt", b"\x1b]" * 5_000 + b"word " * 100_000),
        ("a.txt", b"a" + b" " * 2_000_000 + b"b"),
    ],
    ids=[
        "hashes",
        "brackets",
        "comments",
        "headings",
        "html comments",
        "html brackets",
        "html depth",
        "html emphasis",
        "escapes",
        "spaces",
    ],
)
def test_no_pattern_goes_back_and_forth(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    code = (
        "import sys; from infini_attention.documents import load_document\n"
        "from infini_attention.errors import InputError\n"
        "try: load_document(sys.argv[1], isolation=None)\nexcept InputError: pass"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=20, env={"PYTHONPATH": ":".join(sys.path)})
