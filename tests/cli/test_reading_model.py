"""A model whose recipe names another one that answers from passages in its place."""

from __future__ import annotations

import dataclasses
import gc
import json
from pathlib import Path

import pytest
import torch
from cli_helpers import STORY, Infini, assert_error, write_recipe
from infini_attention import Loaded, Session, load_model
from infini_attention.memory.inject import memory_off
from infini_attention.model.loading import load_reader
from infini_attention.model.recipe import find
from infini_attention.qa.passages_turn import passages_turn
from infini_attention.qa.reader import PassageReader
from infini_attention.qa.turn import decoding

QUESTION = "Who found a letter under the bridge?"
PASSAGES = ["Marta found a letter under the bridge.", "It was raining in the harbour all day."]


@pytest.fixture
def plain(base_folder: Path, tmp_path: Path) -> Path:
    """A recipe without a memory path."""
    folder = write_recipe(tmp_path / "plain", base_folder, name="plain")
    text = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text[: text.index("[config]")])
    return folder


@pytest.fixture
def pair(base_folder: Path, plain: Path, tmp_path: Path) -> Path:
    """A recipe with a memory, for which the other one reads."""
    return read_by(write_recipe(tmp_path / "pair", base_folder, segment=640), str(plain))


def read_by(folder: Path, name: str) -> Path:
    with (folder / "recipe.toml").open("a") as file:
        file.write(f"\n[answers]\nread_by = {json.dumps(name)}\n")
    return folder


def load(folder: Path) -> Loaded:
    return load_model(str(folder), device="cpu", dtype="fp32")


def test_it_answers_with_all_passages_before_the_question(plain: Path) -> None:
    loaded = load(plain)
    turn, engine = PassageReader(loaded).answering(QUESTION, PASSAGES, 8, loaded.engine)
    found = list(engine.generate(turn.prompt, 5))
    before, after = passages_turn(loaded, "\n\n".join(PASSAGES), QUESTION)
    view = [*before, *after]
    for token in found:
        with torch.no_grad(), memory_off(loaded.model):
            assert int(loaded.model(input_ids=torch.tensor([view])).logits[0, -1].argmax()) == token
        view.append(token)


def test_an_answer_may_quote_the_passages_and_not_repeat_itself(plain: Path) -> None:
    """Of a passage no six tokens could be quoted otherwise."""
    loaded = load(plain)
    turn, _ = PassageReader(loaded).answering(QUESTION, PASSAGES, 8, loaded.engine)
    (processor,) = decoding(in_view=True, quotable=turn.quotable)
    passage, scores = loaded.encode(PASSAGES[0]), torch.zeros(1, loaded.model.config.vocab_size)
    quoted = torch.tensor([[*turn.prompt, *passage[:-1]]])
    assert torch.equal(processor(quoted, scores.clone()), scores)
    again = torch.tensor([[*turn.prompt, *passage, *passage[:-1]]])
    assert (processor(again, scores.clone()).isinf().nonzero() == torch.tensor([[0, passage[-1]]])).all()


def test_the_other_model_answers_and_the_memory_stays_the_own_one(
    infini: Infini, pair: Path, plain: Path, tmp_path: Path
) -> None:
    (tmp_path / "book.txt").write_text(STORY)
    state = tmp_path / "state.pt"
    assert infini("read", tmp_path / "book.txt", "-o", state, "--model", pair).code == 0
    ask = ("ask", QUESTION, "--memory", state, "--model", pair, "--max-tokens", "6")
    outcome = infini(*ask, "--verbose")
    assert outcome.code == 0 and "answers from passages are plain's" in outcome.err, outcome.err
    session = Session(load(pair))
    session.read_text(STORY)
    shown = session.answerer().stream(QUESTION, session.remembered, shown=PASSAGES[0], max_tokens=6).finish()
    loaded = load(plain)
    turn, engine = PassageReader(loaded).answering(QUESTION, PASSAGES[:1], 6, loaded.engine)
    assert shown.text == "".join(turn.pieces(engine)).strip()
    # What is remembered of it is in the words of the model that remembers.
    assert session.loaded.tokenizer.decode(list(shown.transcript)).count(shown.text) >= 1
    before = session.tokens_read
    session.remember(shown)
    assert session.tokens_read == before + len(shown.transcript)
    # The memory alone has no use for the other one.
    alone = infini(*ask, "--memory-only", "--verbose")
    assert alone.code == 0 and "answers from passages" not in alone.err


def test_it_is_loaded_once_and_goes_with_the_model(pair: Path) -> None:
    loaded = load(pair)
    reading = load_reader(loaded)
    assert reading is not None and load_reader(loaded) is reading and not reading.memory
    assert load_reader(dataclasses.replace(reading)) is None
    assert reading.placement[:2] == loaded.placement[:2]
    del loaded, reading
    gc.collect()


def test_one_that_is_not_there_is_an_error_and_a_hint(infini: Infini, base_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(STORY)
    lost = read_by(write_recipe(tmp_path / "lost", base_folder, segment=640), str(tmp_path / "nowhere"))
    outcome = infini("ask", QUESTION, "-f", tmp_path / "book.txt", "--model", lost)
    assert_error(outcome, 4, "unknown model", "nowhere", "--reader own")
    # Reading has no use for it, nor has who does without.
    assert infini("read", tmp_path / "book.txt", "-o", tmp_path / "state.pt", "--model", lost).code == 0
    ask = ("ask", QUESTION, "-f", tmp_path / "book.txt", "--model", lost, "--max-tokens", "4")
    assert infini(*ask, "--reader", "own").code == 0
    assert_error(infini(*ask, "--reader", "nonesuch"), 4, "unknown model", "nonesuch")


def test_a_measurement_tells_of_it(infini: Infini, pair: Path, plain: Path, tmp_path: Path) -> None:
    asked = {"question": QUESTION, "answers": ["Marta"], "evidence": PASSAGES[0]}
    (tmp_path / "asked.jsonl").write_text(json.dumps({"text": " ".join(PASSAGES), "questions": [asked]}))
    command = ("eval", "qa", "--data", tmp_path / "asked.jsonl", "--model", pair, "--json")
    assert json.loads(infini(*command).out)["read_by"] == str(plain)
    assert "read_by" not in json.loads(infini(*command, "--reader", "own").out)
    assert "read_by" not in json.loads(infini(*command, "--view", "memory").out)


def test_models_tell_of_it(infini: Infini, pair: Path, plain: Path, base_folder: Path, tmp_path: Path) -> None:
    assert json.loads(infini("models", "show", pair, "--format", "json").out)["read_by"] == str(plain)
    fetched = json.loads(infini("models", "pull", pair, "--format", "json").out)
    assert fetched["folder"] == fetched["reader"] == str(base_folder)
    # What is trained from it keeps it.
    plan = write_recipe(tmp_path / "plan", base_folder, name="trained")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "long.txt").write_text(STORY * 20)
    command = ("adapt", "--data", tmp_path / "texts", "-o", tmp_path / "adapted", "--steps", "1", "--model", pair)
    assert infini(*command, "--recipe", plan).code == 0
    assert find(str(tmp_path / "adapted")).answers.read_by == str(plain)
