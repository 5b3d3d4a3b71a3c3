from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_helpers import STORY, Infini, assert_error
from document_helpers import make_pdf
from infini_attention.documents import load_document
from pdf_kinds import manual, single_column

from infini_cli import opening as session


@pytest.fixture
def without_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: object, **options: object) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(session, "load_model", load)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "manual.pdf"
    path.write_bytes(manual())
    return path


@pytest.mark.usefixtures("without_a_model")
def test_the_text_is_the_models_input_and_nothing_else(infini: Infini, tmp_path: Path, book: Path) -> None:
    (tmp_path / "story.txt").write_text(STORY)
    outcome = infini("read", "--dump-text", book, tmp_path / "story.txt")
    assert outcome.code == 0
    documents = [load_document(str(path)) for path in (book, tmp_path / "story.txt")]
    assert outcome.out == "".join(document.text + "\n\n" for document in documents)


def test_the_session_encodes_what_was_dumped(
    infini: Infini, tmp_path: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped = infini("read", "--dump-text", book).out
    from infini_attention import Loaded

    encode, seen = Loaded.encode, []

    def listen(self: Loaded, text: str, **options: bool) -> list[int]:
        seen.append(text)
        return encode(self, text, **options)

    monkeypatch.setattr(Loaded, "encode", listen)
    assert infini("read", book, "-o", tmp_path / "state.pt").code == 0
    assert dumped in seen


@pytest.mark.usefixtures("without_a_model")
def test_json_tells_where_each_block_stands(infini: Infini, book: Path) -> None:
    value = json.loads(infini("read", "--dump-text", book, "--format", "json", "--pages", "2-4").out)
    assert value["schema"] == "infini.text/1"
    (document,) = value["documents"]
    places = [(block["page"], block["label"], block["heading"]) for block in document["blocks"]]
    assert places[0] == (2, "ii", "Preface") and places[-1] == (4, "2", "On a wall")
    assert document["outline"][2] == {"title": "What you need", "level": 2, "page": 3}
    assert document["clean_up"]["page_numbers"] == 3
    assert document["source"] == "manual.pdf" and document["pages"] == 5
    line = infini("read", "--dump-text", book, "--format", "jsonl", "--pages", "2-4").out
    assert line.count("\n") == 1 and json.loads(line) == value


@pytest.mark.usefixtures("without_a_model")
def test_details_tell_what_the_clean_up_did(infini: Infini, tmp_path: Path) -> None:
    path = tmp_path / "book.pdf"
    path.write_bytes(single_column())
    line = "book.pdf: clean-up: 4 running heads, 5 page numbers, 3 hyphens joined, 2 footnote marks\n"
    assert line in infini("read", "--dump-text", path, "-v").err
    assert "clean-up" not in infini("read", "--dump-text", path).err
    (tmp_path / "story.txt").write_text(STORY)
    assert "clean-up" not in infini("read", "--dump-text", tmp_path / "story.txt", "-v").err


@pytest.mark.usefixtures("without_a_model")
def test_the_backend_is_an_option_and_a_setting(infini: Infini, book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_error(infini("read", "--dump-text", book, "--pdf-backend", "poppler"), 2, "poppler", "pypdf")
    command = ("read", "--dump-text", book, "--format", "json")
    extractor = json.loads(infini(*command, "--pdf-backend", "pypdf").out)["documents"][0]["extractor"]
    assert extractor.startswith("pypdf ")
    assert json.loads(infini(*command).out)["documents"][0]["extractor"].startswith("pypdfium2 ")
    monkeypatch.setenv("INFINI_PDF_BACKEND", "pypdf")
    assert json.loads(infini(*command).out)["documents"][0]["extractor"] == extractor


@pytest.mark.parametrize("command", [("summarize", "--length", "2"), ("ask", "Who?", "--max-tokens", "2", "-f")])
def test_other_commands_read_with_the_backend_too(infini: Infini, tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "short.pdf"
    path.write_bytes(make_pdf([["The miller came to the river."]]))
    outcome = infini(*command, path, "--pdf-backend", "pypdf")
    assert outcome.code == 0 and outcome.out.strip()
    assert_error(infini(*command, path, "--pdf-backend", "poppler"), 2, "poppler")


def test_it_makes_no_state(infini: Infini, tmp_path: Path, book: Path) -> None:
    assert_error(infini("read", "--dump-text", book, "-o", tmp_path / "s.pt"), 2, "--dump-text")
    assert_error(infini("read", "--dump-text", book, "--memory", tmp_path / "s.pt"), 2, "--dump-text")
    assert not (tmp_path / "s.pt").exists()
