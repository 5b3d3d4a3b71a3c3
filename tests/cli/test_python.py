"""A session in Python: what is read, asked and summarised there is what the shell gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli_helpers import OTHER, STORY, Infini, write_recipe
from infini_attention import Loaded, Session, StateError, load, load_model
from infini_attention.qa.memory_question import beginning, memory_prompt

QUESTION = "Who found a letter under the bridge?"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, base_folder: Path) -> Loaded:
    folder = write_recipe(tmp_path_factory.mktemp("python") / "roomy", base_folder, segment=640)
    return load_model(str(folder), device="cpu", dtype="fp32")


def test_what_was_read_is_read_whole_and_goes_on(loaded: Loaded, tmp_path: Path) -> None:
    session = Session(loaded).read_text(STORY).read_text(OTHER)
    both = loaded.engine()
    both.read([*loaded.encode(STORY + "\n\n"), *loaded.encode(OTHER + "\n\n")])
    one, other = session.snapshot().tensors, both.snapshot(loaded.origin).tensors
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    session.save(tmp_path / "state.pt")
    again = load(loaded.origin.model, memory=tmp_path / "state.pt", device="cpu", dtype="fp32")
    assert again.engine.tokens_read == session.engine.tokens_read and again.texts == session.texts


def test_an_answer_leaves_what_was_read_as_it_is(loaded: Loaded) -> None:
    session = Session(loaded).read_text(STORY)
    before = session.snapshot()
    for look_back in (True, False):
        first = session.ask(QUESTION, look_back=look_back, max_tokens=6)
        assert first.text and session.ask(QUESTION, look_back=look_back, max_tokens=6) == first
        assert first.looked_back is look_back and bool(first.found) is look_back
    after = session.snapshot()
    assert after.tokens == before.tokens
    assert all(torch.equal(tensor, after.tensors[name]) for name, tensor in before.tensors.items())


def test_python_gives_what_the_shell_gives(loaded: Loaded, infini: Infini, tmp_path: Path) -> None:
    book = tmp_path / "book.md"
    book.write_text(f"# One\n\n{OTHER}\n\n# Two\n\n{STORY}")
    session = Session(loaded).read(book)
    options = ("--model", loaded.origin.model, "--device", "cpu", "--dtype", "fp32")
    for look_back, flags in ((True, ()), (False, ("--memory-only",))):
        shell = json.loads(infini("ask", "-f", book, QUESTION, *flags, *options, "--format", "json").out)
        answer = session.ask(QUESTION, look_back=look_back)
        assert (answer.text, answer.refused) == (shell["answer"], shell["refused"])
        assert [one.passage.text for one in answer.found] == [source["text"] for source in shell["sources"]]
    shell = json.loads(infini("summarize", book, *options, "--length", "20", "--format", "json").out)
    assert session.summarize(20).text == shell["summary"]


def test_text_serves_any_model_and_the_memory_only_its_own(loaded: Loaded, tmp_path: Path, base_folder: Path) -> None:
    state = Session(loaded).read_text(STORY).snapshot()
    folder = write_recipe(tmp_path / "other", base_folder, segment=512)
    other = Session(load_model(str(folder), device="cpu", dtype="fp32"), state=state)
    assert other.loaded.origin.config != loaded.origin.config and other.texts == Session(loaded, state=state).texts
    with pytest.raises(StateError):
        other.ask(QUESTION, look_back=False)
    with pytest.raises(StateError):
        other.read_text(OTHER)


@pytest.mark.parametrize(
    ("question", "begun"),
    [
        ("What is the pass key?", "The pass key is"),
        ("What are the numbers on record for Ann? ", "The numbers on record for Ann are"),
        ("Where was the milk?", "The milk was in"),
        ("Who finds the letter?", ""),
        ("What happened to her father?", ""),
        ("What is left? Who knows?", ""),
    ],
)
def test_the_memory_is_asked_with_the_beginning_of_the_answer(loaded: Loaded, question: str, begun: str) -> None:
    assert beginning(question) == begun
    prompt = loaded.tokenizer.decode(memory_prompt(loaded, question))
    assert prompt.startswith("\nQuestion: ") and prompt.endswith(f"\nAnswer: {begun}" if begun else "\nAnswer:")
