"""Answers that are chosen: compared with one forward an answer, and with reading before it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import memory_off, new_cache
from infini_attention.model.adapters import LoraAdapter
from infini_attention.qa.choosing import OneOf
from infini_attention.qa.reader import by_passages

from models import FAMILIES, RULES, VOCABULARY, Model, ids, memory_model

STOP = (3, 5)


OPTIONS = [ids(count, 20 + count) for count in (3, 1, 2, 4)]


def model_of(family: str = "llama", **config: Any) -> Model:
    return memory_model(family, dtype=torch.float32, segment_length=16, **config)


def mean_of(logits: torch.Tensor, option: list[int], stop: tuple[int, ...] = STOP) -> float:
    """Of the logits behind the prompt's last token and behind each of the option's."""
    told = logits.log_softmax(-1)
    nats = [float(told[place, token]) for place, token in enumerate(option)]
    if stop:
        nats.append(float(sum(told[len(option), token].exp() for token in stop).log()))  # type: ignore[union-attr]
    return sum(nats) / len(nats)


@pytest.mark.parametrize(
    ("family", "rule"), [*((family, "deltanet") for family in FAMILIES), *(("llama", r) for r in RULES)]
)
@pytest.mark.parametrize("waiting", [0, 3, 9])
def test_each_answer_is_as_likely_as_if_it_were_alone(family: str, rule: str, waiting: int) -> None:
    model = model_of(family, update_rule=rule)
    engine, read, prompt = Engine(model), ids(32 + waiting, 1), ids(5, 2)
    engine.read(read)
    for stop in (STOP, ()):
        found = engine.likelihoods(prompt, OPTIONS, stop=stop)
        for option, score in zip(OPTIONS, found, strict=True):
            cache = new_cache(model)
            with torch.no_grad():
                for start in range(0, len(read), 16):
                    model(input_ids=torch.tensor([read[start : start + 16]]), past_key_values=cache)
                if waiting == 9:
                    # No room for the prompt and the longest answer.
                    cache.close_segment()
                logits = model(input_ids=torch.tensor([prompt + option]), past_key_values=cache).logits[0]
            assert score == pytest.approx(mean_of(logits[len(prompt) - 1 :], option, stop), abs=1e-4)
    assert engine.tokens_read == len(read) and len(engine.open_ids) == waiting


def test_a_reader_chooses_by_its_passages_alone() -> None:
    model = model_of()
    reader, prompt = LoraAdapter(model, "reader", rank=3), ids(3, 5)
    with torch.no_grad():
        for number, weight in enumerate(reader.weights().values()):
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)) / 5)
    engine = by_passages(model, reader, [ids(4, 3), ids(3, 4)])
    found = engine.likelihoods(prompt, OPTIONS)
    for option, score in zip(OPTIONS, found, strict=True):
        view = ids(4, 3) + ids(3, 4) + prompt
        with reader.in_force(), memory_off(model):
            logits = model(input_ids=torch.tensor([view + option])).logits[0].detach()
        assert score == pytest.approx(mean_of(logits[len(view) - 1 :], option, ()), abs=1e-4)
    best = OPTIONS[found.index(max(found))]
    chosen = OneOf(engine, OPTIONS)
    assert list(chosen.generate(prompt, 9)) == best and list(chosen.generate(prompt, 1)) == best[:1]
    assert list(OneOf(engine, [[7, 8]]).generate(prompt, 9)) == [7, 8]


def test_what_ends_an_answer_counts() -> None:
    model = model_of()
    engine, prompt = Engine(model), ids(5, 2)
    free = engine.likelihoods(prompt, OPTIONS)
    assert engine.likelihoods(prompt, OPTIONS, stop=STOP) != pytest.approx(free, abs=1e-3)
    # Something always follows.
    ended = engine.likelihoods(prompt, OPTIONS, stop=range(VOCABULARY))
    assert ended == pytest.approx(
        [score * len(o) / (len(o) + 1) for score, o in zip(free, OPTIONS, strict=True)], abs=1e-4
    )
