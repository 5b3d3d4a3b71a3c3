"""What the pdfium backend does as pypdf does, and what happens without its package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from document_helpers import (
    break_page_content,
    break_page_object,
    cut_page_content,
    encrypt,
    load,
    make_pdf,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from infini_attention.documents import PageSelection
from infini_attention.errors import InfiniError, InputError

NUMBERS = ["one", "two", "three", "four", "five", "six"]
STORY = [[f"On day {word} the miller came to the river and he saw", f"a boat with {word} lamps."] for word in NUMBERS]
PLAIN = make_pdf(STORY, outline=[(2, "The Ford"), (4, "The Mill")], head="The Miller of Dorn", numbered=True)


class TestPdfium:
    """Everything here needs the package."""

    @pytest.fixture(autouse=True)
    def package(self) -> None:
        pytest.importorskip("pypdfium2")

    def test_both_backends_give_the_same_document(self) -> None:
        ours, theirs = load(PLAIN, backend="pdfium"), load(PLAIN)
        assert ours.extractor.startswith("pypdfium2 ")
        assert (ours.blocks, ours.outline, ours.notes) == (theirs.blocks, theirs.outline, theirs.notes)
        assert ours.clean_up == theirs.clean_up

    def test_running_heads_in_two_parts_go(self) -> None:
        from io import BytesIO

        from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

        buffer = BytesIO()
        canvas = Canvas(buffer, invariant=1)
        for number, lines in enumerate(STORY):
            canvas.drawString(70, 800, "The Miller of Dorn")
            canvas.drawString(400, 800, "The Ford" if number < 3 else "The Mill")
            for row, line in enumerate(lines):
                canvas.drawString(70, 700 - 14 * row, line)
            canvas.showPage()
        canvas.save()
        document = load(buffer.getvalue(), backend="pdfium")
        assert "Dorn" not in " ".join(block.text for block in document.blocks if block.page != 1)

    def test_selection(self) -> None:
        document = load(PLAIN, backend="pdfium", pages=PageSelection.parse("2,5-9"))
        assert sorted({block.page for block in document.blocks if block.page}) == [2, 5, 6]
        assert document.notes[0] == "the document has 6 pages; there is nothing at 7-9"

    @pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
    def test_passwords(self, algorithm: str) -> None:
        locked = encrypt(PLAIN, "river", algorithm=algorithm)
        text = load(PLAIN, backend="pdfium").text
        assert load(locked, backend="pdfium", password="river").text == text
        answers = iter(["lake", "river"])
        assert load(locked, backend="pdfium", ask_password=lambda name: next(answers)).text == text
        assert load(encrypt(PLAIN, "", algorithm=algorithm), backend="pdfium").text == text
        with pytest.raises(InputError, match="wrong"):
            load(locked, backend="pdfium", password="lake")
        with pytest.raises(InputError, match="is encrypted") as caught:
            load(locked, backend="pdfium")
        assert "INFINI_PDF_PASSWORD" in caught.value.hint

    @pytest.mark.parametrize("damage", [break_page_object, break_page_content])
    def test_a_damaged_page_is_named_and_the_others_are_read(self, damage: object) -> None:
        document = load(damage(PLAIN, 3), backend="pdfium")  # type: ignore[operator]
        assert document.failed_pages == (3,)
        assert sorted({block.page for block in document.blocks if block.page}) == [1, 2, 4, 5, 6]
        assert "page 3 could not be read: the file is damaged" in document.notes

    def test_a_half_broken_page_is_said_to_be_incomplete(self) -> None:
        lines = [f"line {n} of the log with {n * 7919 % 1000} words in it" for n in range(30)]
        document = load(cut_page_content(make_pdf([lines, *STORY[1:]]), 1, keep=0.7), backend="pdfium")
        assert "line 1 of" in document.text and "line 29 of" not in document.text
        assert document.notes == ("page 1 may be incomplete: the file is damaged",)
        locked = encrypt(cut_page_content(make_pdf([lines, *STORY[1:]]), 1, keep=0.7), "river")
        assert load(locked, backend="pdfium", password="river").notes == document.notes

    def test_a_file_cut_short_gives_the_pages_that_are_there(self) -> None:
        document = load(PLAIN[: int(len(PLAIN) * 0.85)], backend="pdfium")
        assert document.blocks[1].text == load(PLAIN).blocks[1].text
        assert any("cut short" in note for note in document.notes)

    def test_scans_and_rubbish(self) -> None:
        with pytest.raises(InputError, match="needs OCR"):
            load(make_pdf([[], []]), backend="pdfium")
        with pytest.raises(InputError, match="damaged"):
            load(b"%PDF-1.4\nnothing of the kind", backend="pdfium")

    @settings(max_examples=60, deadline=None)
    @given(
        start=st.integers(0, len(PLAIN)),
        length=st.integers(1, 400),
        filler=st.sampled_from([b"", b"#", b"\0", b"<", b"9"]),
    )
    def test_any_damage_gives_a_document_or_an_explained_error(self, start: int, length: int, filler: bytes) -> None:
        damaged = PLAIN[:start] + filler * length + PLAIN[start + length :]
        try:
            document = load(damaged, backend="pdfium")
        except InfiniError as error:
            assert error.hint
            return
        assert document.blocks

    def test_nothing_of_the_libraries_reaches_the_terminal(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.pdf"
        path.write_bytes(break_page_object(PLAIN.replace(b"startxref\n", b"startxref\n9"), 2))
        code = "import sys; from infini_attention.documents import load_document; load_document(sys.argv[1], backend='pdfium')"
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        assert done.stdout + done.stderr == ""
