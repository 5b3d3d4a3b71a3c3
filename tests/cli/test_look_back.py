"""`infini ask` looks back at the text that a state carries."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cli_helpers import OTHER, STORY, Infini, write_recipe
from infini_attention import Engine, Loaded, MemoryState, load_model
from infini_attention.model.recipe import AnswerSettings
from infini_attention.qa.evidence import REFUSAL, without_refusal
from infini_attention.qa.found import Found
from infini_attention.qa.refuse import JUDGED_NEUTRAL, JUDGED_WEIGHT, support
from infini_attention.qa.retrieve import Retriever
from infini_attention.qa.turn import Turn
from infini_attention.text.kept import KeptText
from infini_attention.text.passages import passages
from pdf_kinds import manual
from torch import Tensor

QUESTION = "Who found a letter under the bridge?"


@pytest.fixture
def state(infini: Infini, tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a model whose segments have room for passages and an answer."""
    monkeypatch.setenv("INFINI_MODEL", str(write_recipe(tmp_path / "roomy", base_folder, segment=640)))
    (tmp_path / "book.md").write_text(f"# One\n\n{OTHER}\n\n# Two\n\n{STORY}")
    path = tmp_path / "state.pt"
    assert infini("read", tmp_path / "book.md", "-o", path).code == 0
    return path


def test_an_answer_names_its_place_and_shows_its_sentences(infini: Infini, state: Path) -> None:
    ask = ("ask", "--memory", state, QUESTION, "--max-tokens", "6")
    outcome = infini(*ask, "--show-sources")
    assert outcome.code == 0, outcome.err
    assert " (One" in outcome.out or " (Two" in outcome.out
    assert any("Marta found a letter under the bridge" in line for line in outcome.out.splitlines()[1:])
    value = json.loads(infini(*ask, "--format", "json").out)
    assert value["looked_back"] and 1 <= len(value["sources"]) <= AnswerSettings().in_view
    best = value["sources"][0]
    assert best["source"] == "book.md" and best["heading"] in ("One", "Two") and best["pages"] is None
    assert "letter" in best["text"] and best["words"] > 0
    assert json.loads(infini(*ask, "--format", "json").out) == value


def test_a_dialogue_shows_the_sources_of_the_last_answer(
    infini: Infini, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter([QUESTION, "/sources", "/quit"])
    monkeypatch.setattr("builtins.input", lambda *prompt: next(lines))
    outcome = infini("ask", "--memory", state, "--max-tokens", "6")
    once = infini("ask", "--memory", state, "--max-tokens", "6", "--show-sources", QUESTION)
    assert outcome.code == 0 and outcome.out == once.out


def test_the_memory_alone_answers_where_it_is_told_to_or_there_is_no_text(infini: Infini, state: Path) -> None:
    ask = ("ask", "--memory", state, QUESTION, "--max-tokens", "6")
    alone = infini(*ask, "--memory-only")
    assert alone.code == 0 and "(One" not in alone.out
    assert not json.loads(infini(*ask, "--memory-only", "--format", "json").out)["sources"]
    bare = state.with_name("bare.pt")
    assert infini("read", state.parent / "book.md", "-o", bare, "--no-text").code == 0
    assert not MemoryState.load(bare).attachments and MemoryState.load(state).attachments
    outcome = infini("ask", "--memory", bare, QUESTION, "--max-tokens", "6")
    assert outcome.out == alone.out and "no text to look back at" in outcome.err


def test_reading_on_keeps_the_text_of_both(infini: Infini, state: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("The treasure of Kelvick lies behind the third mill stone.")
    both = tmp_path / "both.pt"
    assert infini("read", tmp_path / "more.txt", "--memory", state, "-o", both).code == 0
    ask = ("ask", "--memory", both, "Where is the treasure of Kelvick?", "--max-tokens", "6", "--format", "json")
    assert json.loads(infini(*ask).out)["sources"][0]["source"] == "more.txt"
    # A document that is read for one question counts too.
    of_file = ("ask", "-f", tmp_path / "more.txt", "Where is the treasure?", "--max-tokens", "6", "--format", "json")
    assert json.loads(infini(*of_file).out)["sources"][0]["source"] == "more.txt"


def test_pages_are_cited_as_they_are_printed(infini: Infini, state: Path, tmp_path: Path) -> None:
    path, kept = tmp_path / "manual.pdf", tmp_path / "manual.pt"
    path.write_bytes(manual())
    assert infini("read", path, "-o", kept).code == 0
    # The state is asked, not the file: labels have to be kept in it.
    path.unlink()
    ask = ("ask", "--memory", kept, "How many kilograms does the pump weigh?", "--max-tokens", "2")
    places = [(at["pages"], at["labels"]) for at in json.loads(infini(*ask, "--format", "json").out)["sources"]]
    assert ([4, 4], ["2", "2"]) in places
    assert "p. 2, On a wall" in infini(*ask).out


@pytest.mark.parametrize(("threshold", "refused"), [(1e9, True), (-1e9, False)])
def test_what_the_text_does_not_tell_is_refused(
    infini: Infini, state: Path, tmp_path: Path, base_folder: Path, threshold: float, refused: bool
) -> None:
    other = write_recipe(tmp_path / "reranker", base_folder, segment=640, refuse_below=threshold)
    ask = ("ask", "--memory", state, "--model", other, QUESTION, "--max-tokens", "6")
    outcome = infini(*ask, "--show-sources")
    assert outcome.code == 0, outcome.err
    assert (outcome.out == "The document does not seem to tell.\n") is refused
    value = json.loads(infini(*ask, "--format", "json").out)
    assert value["refused"] is refused and bool(value["sources"]) is not refused
    assert "does not seem" not in infini(*ask, "--memory-only").out


def test_only_memory_alone_may_refuse_in_the_model_s_own_words(
    infini: Infini, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may = []

    def pieces(turn: Turn, engine: Engine) -> Iterator[str]:
        may.append(turn.may_refuse)
        yield "Yes."

    monkeypatch.setattr(Turn, "pieces", pieces)
    ask = ("ask", "--memory", state, QUESTION)
    assert infini(*ask).code == infini(*ask, "--memory-only").code == 0
    assert may == [False, True]


def test_a_threshold_keeps_an_answer_from_being_a_refusal(loaded: Loaded) -> None:
    assert loaded.recipe.refuse_below is None and len(without_refusal(loaded, 3)) == 0
    judged = dataclasses.replace(loaded, recipe=dataclasses.replace(loaded.recipe, refuse_below=1.0))
    begun = loaded.encode(REFUSAL)
    last = len(loaded.encode("The text")) - 1
    scores = without_refusal(judged, 3)(torch.tensor([[0, 0, 0, *begun[:last]]]), torch.zeros(1, 500))  # type: ignore[arg-type]
    assert scores[0, begun[last]] == -torch.inf


def test_a_model_that_says_so_itself_has_no_sources(
    infini: Infini, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pieces(turn: Turn, engine: Engine) -> Iterator[str]:
        turn.ids = turn.loaded.encode(REFUSAL)
        yield REFUSAL

    monkeypatch.setattr(Turn, "pieces", pieces)
    ask = ("ask", "--memory", state, QUESTION)
    assert infini(*ask).out == f"{REFUSAL}\n"
    value = json.loads(infini(*ask, "--format", "json").out)
    assert value["refused"] and value["answer"] == REFUSAL and not value["sources"]


def test_a_reranker_orders_what_words_have_found(tmp_path: Path, base_folder: Path) -> None:
    loaded = load_model(str(write_recipe(tmp_path / "roomy", base_folder, segment=2000)), device="cpu", dtype="fp32")
    parts = [f"{'The ferry sailed. ' * count}So it was." for count in (14, 20, 17)]
    back = Retriever(loaded, [KeptText.of("ferry.txt", "\n\n".join([*parts, "Nobody came. " * 30]))])
    question = "When did the ferry sail?"
    by_words = [one.passage.number for one in back.find(question, 1500, by_words=True)]
    assert sorted(by_words) == [0, 1, 2]

    class Fixed:
        """Finds long passages better, as far as its weight for words lets it."""

        words = torch.tensor(0.0)

        def __call__(self, passages: list[list[int]], questions: list[list[int]]) -> Tensor:
            return torch.tensor([[float(len(passage)) for passage in passages] for _ in questions])

    back.reranker = Fixed()  # type: ignore[assignment]
    found = back.find(question, 1500)
    assert [one.passage.number for one in found] == [1, 2, 0]
    Fixed.words = torch.tensor(1e9)
    assert [one.passage.number for one in back.find(question, 1500)] == by_words
    # Where the first has evidence enough, the others are not asked for theirs.
    everything = back.find(question, 1500)
    for enough, known in ((-1e9, 1), (1e9, 3)):
        lazily = back.find(question, 1500, enough=enough)
        assert [one.passage for one in lazily] == [one.passage for one in everything]
        for number, one in enumerate(lazily):
            assert one.evidence == (pytest.approx(everything[number].evidence, abs=1e-4) if number < known else None)
    # Evidence stays what it was: refusals rest on it.
    back.reranker = None
    assert {one.passage: one.evidence for one in back.find(question, 1500)} == pytest.approx(
        {one.passage: one.evidence for one in found}, abs=1e-4
    )


def test_support_is_the_best_evidence_a_word_and_what_the_best_judgement_adds() -> None:
    passage = passages([KeptText.of("ferry.txt", "The ferry sailed.")])[0]

    def found(evidence: float | None, judged: float | None) -> Found:
        return Found(passage, 1.0, evidence, judged)

    assert support("Who sailed?", []) == 0.0
    assert support("Who sailed?", [found(1.0, None), found(4.0, None), found(None, None)]) == 2.0
    # A neutral judgement changes nothing; one above it speaks for an answer.
    assert support("Who sailed?", [found(4.0, JUDGED_NEUTRAL), found(None, -3.0)]) == 2.0
    assert support("Who sailed?", [found(4.0, JUDGED_NEUTRAL + 2), found(5.0, 0.0)]) == 2.5 + 2 * JUDGED_WEIGHT


def test_a_question_for_a_number_is_answered_by_one_that_stands_in_view(infini: Infini, state: Path) -> None:
    text = state.parent / "keys.txt"
    text.write_text(f"{OTHER}\n\nIn 1871 Marta counted twelve keys under the bridge. She had six pounds of lead.")
    for question, answer in (
        ("How many keys did Marta count under the bridge?", "twelve keys"),
        ("In what year did Marta count keys?", "1871"),
    ):
        outcome = infini("ask", "-f", text, question)
        assert outcome.code == 0 and outcome.out.startswith(f"{answer} (keys.txt"), outcome.err
    told = [{"question": "How many keys were there under the bridge?", "answers": ["twelve keys"]}]
    file = state.parent / "told.jsonl"
    file.write_text(json.dumps({"text": text.read_text(), "questions": told}))
    value = json.loads(infini("eval", "qa", "--data", file, "--view", "passages", "--json").out)
    assert {cell["measure"]: cell["score"] for cell in value["cells"]} == {"f1": 1, "exact": 1, "rouge_l": 1}
