from __future__ import annotations

import hashlib
import io
import os
import sys
from pathlib import Path

import pytest
from document_helpers import make_pdf
from infini_attention.documents import PageSelection, load_document
from infini_attention.errors import InputError, UsageFailure


def test_a_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("The miller.\n")
    document = load_document(str(path))
    assert document.name == "story.txt"
    assert document.sha256 == hashlib.sha256(b"The miller.\n").hexdigest()
    assert document.text == "The miller."


def test_the_type_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    pdf = tmp_path / "story.txt"
    pdf.write_bytes(make_pdf([["The miller came to the river."]]))
    assert load_document(str(pdf)).kind == "pdf"
    text = tmp_path / "story.pdf"
    text.write_text("A PDF begins with %PDF-1.7, but this is none.")
    assert load_document(str(text)).kind == "text"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Der Müller".encode())))
    document = load_document("-")
    assert (document.name, document.text) == ("stdin", "Der Müller")


def test_pages_of_a_text_are_a_usage_error() -> None:
    with pytest.raises(UsageFailure, match="no pages"):
        load_document("-", stdin=io.BytesIO(b"text"), pages=PageSelection.parse("1"))


@pytest.mark.parametrize("data", [b"", b" \n\t\n ", b"\xef\xbb\xbf", b"\xff\xfe \x00\n\x00"])
def test_nothing_to_read(data: bytes) -> None:
    with pytest.raises(InputError, match="empty|no text") as caught:
        load_document("-", stdin=io.BytesIO(data))
    assert caught.value.exit_code == 3


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match=r"a\.txt is empty") as caught:
        load_document(str(tmp_path / "a.txt"))
    assert "downloaded" in caught.value.hint


def test_missing_file_suggests_a_near_name(tmp_path: Path) -> None:
    (tmp_path / "chapter-one.txt").write_text("x")
    with pytest.raises(InputError, match="does not exist") as caught:
        load_document(str(tmp_path / "chapter-on.txt"))
    assert "chapter-one.txt" in caught.value.hint
    with pytest.raises(InputError) as caught:
        load_document(str(tmp_path / "nowhere" / "a.txt"))
    assert "directory" in caught.value.hint


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        load_document(str(tmp_path))


def test_device() -> None:
    with pytest.raises(InputError, match="device"):
        load_document("/dev/zero")


@pytest.mark.parametrize("source", ["a\0b", "x" * 5000])
def test_impossible_names(source: str) -> None:
    with pytest.raises(InputError):
        load_document(source)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("secret")
    path.chmod(0)
    if os.access(path, os.R_OK):  # A superuser may read everything.

        def refuse(*args: object, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError, match="may not be read") as caught:
        load_document(str(path))
    assert "chmod" in caught.value.hint


def test_a_named_pipe(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"piped text")
    os.close(write)
    try:
        assert load_document(f"/dev/fd/{read}").text == "piped text"
    finally:
        os.close(read)
