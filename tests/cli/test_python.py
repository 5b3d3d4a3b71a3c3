"""A text read and a question asked in Python: `Loaded.read` and `Loaded.answer`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from cli_helpers import OTHER, STORY
from infini_attention import Engine, Loaded, load
from infini_attention.model.chat import stop_ids
from transformers import LogitsProcessorList, NoRepeatNGramLogitsProcessor


@pytest.fixture(scope="module")
def loaded(model: str) -> Loaded:
    return load(model, device="cpu", dtype="fp32")


def test_what_was_read_is_read_whole_and_goes_on(loaded: Loaded) -> None:
    ids = loaded.encode(STORY)
    engine = loaded.read(STORY)
    assert engine.tokens_read == len(ids)
    engine.read(loaded.encode(OTHER))
    both = loaded.engine()
    both.read([*ids, *loaded.encode(OTHER)])
    one, other = (each.snapshot(loaded.origin).tensors for each in (engine, both))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_an_answer_leaves_what_was_read_as_it_is(loaded: Loaded) -> None:
    story = loaded.read(STORY)
    before = story.snapshot(loaded.origin)
    first = loaded.answer(story, "Who?", 8)
    assert first and loaded.answer(story, "Who?", 8) == first
    after = story.snapshot(loaded.origin)
    assert after.tokens == before.tokens
    assert all(torch.equal(tensor, after.tensors[name]) for name, tensor in before.tensors.items())


def test_the_instruction_stands_in_the_chat_template_and_the_answer_ends_with_its_turn(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def generate(engine: Engine, prompt: list[int], most: int, **options: Any) -> Iterator[int]:
        asked.update(options, engine=engine, prompt=loaded.tokenizer.decode(prompt), most=most)
        yield from loaded.encode("\n Ann, at the mill. \n")

    monkeypatch.setattr(Engine, "generate", generate)
    ngrams = LogitsProcessorList([NoRepeatNGramLogitsProcessor(3)])
    story = loaded.read(STORY)
    assert loaded.answer(story, "Who?", 7, processors=ngrams) == "Ann, at the mill."
    assert asked["engine"] is story
    assert asked["prompt"] == "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    assert (asked["most"], asked["stop"], asked["processors"]) == (7, stop_ids(loaded.model, loaded.tokenizer), ngrams)
