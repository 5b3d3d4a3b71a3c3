"""The reader: compared with layers whose weights were changed for good, and with one row at a time."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from infini_attention.errors import ModelUnavailable
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import memory_off
from infini_attention.model.adapters import LoraAdapter, load_lora
from infini_attention.model.recipe import READER_WEIGHTS, file_in
from infini_attention.qa.reader import by_passages
from infini_attention.train.passage_reading import PASSAGES, QUESTIONS, PassageReading, Readable, ReaderRollout
from infini_attention.train.questions import AskedTurn
from infini_attention.train.tasks import BatchShape
from safetensors.torch import save_file
from torch import Tensor

from models import (
    FAMILIES,
    VOCABULARY,
    Model,
    base_model,
    ids,
    lora_of,
    losses_of,
    memory_model,
    merged,
)

PLAN = BatchShape(2, 2, 8, 2)


def model_of(family: str = "llama", **config: Any) -> Model:
    return memory_model(family, dtype=torch.float32, **config)


def logits(model: Model, tokens: list[int]) -> Tensor:
    found: Tensor = model(input_ids=torch.tensor([tokens])).logits
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_changes_in_force_are_weights_changed_for_good(family: str) -> None:
    model = model_of(family)
    reader, before = lora_of(model), logits(model, ids(9, 1))
    with reader.in_force(), memory_off(model):
        found = logits(model, ids(9, 1))
    torch.testing.assert_close(
        found, logits(merged(copy.deepcopy(base_model(family)), reader), ids(9, 1)), rtol=1e-4, atol=1e-5
    )
    assert not torch.allclose(found, before)
    assert torch.equal(logits(model, ids(9, 1)), before)
    with LoraAdapter(model, "new").in_force():
        assert torch.equal(logits(model, ids(9, 1)), before)


@pytest.mark.parametrize("layers", [1, 2])
def test_fewer_layers_are_changed_where_it_is_asked_for(layers: int) -> None:
    changes = LoraAdapter(model_of(), "few", layers)
    assert {name.split(".")[1] for name in changes.weights()} == {str(layer) for layer in range(layers)}


def test_an_answer_is_given_with_the_reader_from_the_passages_on() -> None:
    model = model_of(segment_length=16)
    reader, engine = lora_of(model), Engine(model)
    engine.read(ids(40, 2))
    found = list(by_passages(model, reader, [ids(4, 3), ids(3, 4)]).generate(ids(3, 5), 3))
    # Step by step: nothing that lies behind is known.
    view = ids(4, 3) + ids(3, 4) + ids(3, 5)
    for token in found:
        with reader.in_force(), memory_off(model):
            assert int(logits(model, view)[0, -1].argmax()) == token
        view.append(token)
    plain = list(engine.reading_again([ids(4, 3), ids(3, 4)]).generate(ids(3, 5), 3))
    fresh = Engine(model)
    fresh.read(ids(40, 2))
    assert plain != found and list(engine.generate(ids(3, 5), 3)) == list(fresh.generate(ids(3, 5), 3))


def readable() -> Readable:
    """Seven passages, each about a token of its own, and a question about each, but two about the first."""
    generator = np.random.default_rng(0)
    passages = [[*generator.integers(20, VOCABULARY, 4).tolist(), topic, topic] for topic in range(7)]
    turns = [AskedTurn([10, topic, 11], ([topic, 12],)) for topic in (0, *range(7))]
    right = torch.tensor([[turn.instruction[1] == passage for passage in range(7)] for turn in turns])
    return Readable(passages, turns, right, right.flip(1).float())


def test_a_step_has_passages_in_reading_order_and_the_questions_that_they_answer() -> None:
    text = readable()
    task = PassageReading([text, Readable([[1]], [], torch.ones(0, 1) > 0, torch.ones(0, 1))])
    assert len(task.texts) == 1
    for seed in range(8):
        view, asked, *another = task.sample(PLAN, np.random.default_rng(seed))
        assert len(another) == 2
        shown = [text.passages.index(part.tolist()) for part in view.ids.reshape(-1, 6)]
        assert len(shown) == PASSAGES and shown == sorted(shown)
        topics = asked.ids[:, 1].tolist()
        assert sorted(topics) == sorted(shown + [0] * (0 in shown)) and len(topics) <= QUESTIONS
        # What words would find for the first question is in view, though it is the wrong passage.
        assert 6 - topics[0] in shown
        assert asked.labels is not None and asked.labels[:, 2].tolist() == topics


def test_the_loss_is_that_of_one_row_at_a_time() -> None:
    model = model_of()
    reader = lora_of(model)
    learner = ReaderRollout(reader)
    weights = learner.trained()
    parts = PassageReading([readable()]).sample(PLAN, np.random.default_rng(1))
    outcome = learner(parts)
    torch.autograd.backward(outcome.loss)
    found = {name: weight.grad for name, weight in weights.items()}
    for weight in weights.values():
        weight.grad = None
    losses = []
    for view, asked in ((parts[0], parts[1]), (parts[2], parts[3])):
        assert asked.labels is not None
        for row, labels in zip(asked.ids, asked.labels, strict=True):
            with reader.in_force(), memory_off(model):
                told = model(input_ids=torch.cat([view.ids, row[None]], 1)).logits[0]
            losses.append(F.cross_entropy(told[view.ids.shape[1] :], labels, ignore_index=-100, reduction="sum"))
    loss = torch.stack(losses).sum() / int(outcome.labelled)
    torch.testing.assert_close(outcome.loss, loss)
    torch.autograd.backward(loss)
    for name, weight in weights.items():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-3, atol=1e-6)


def test_gradients_in_16_bits_are_near_those_in_32() -> None:
    parts = PassageReading([readable()]).sample(PLAN, np.random.default_rng(1))
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        model = model_of().to(dtype)
        learner = ReaderRollout(lora_of(model))
        weights = learner.trained()
        torch.autograd.backward(learner(parts).loss)
        grads = [weight.grad for weight in weights.values()]
        assert all(grad is not None and grad.dtype is torch.float32 for grad in grads)
        found.append(torch.cat([grad.flatten() for grad in grads if grad is not None]))
    assert F.cosine_similarity(found[0], found[1], dim=0) > 0.99
    assert not torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()  # type: ignore[no-untyped-call]


def test_it_learns() -> None:
    model = model_of()
    task, learner = PassageReading([readable()]), ReaderRollout(LoraAdapter(model, "reader", rank=4))
    losses = losses_of(learner, task, PLAN, 60)
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert all(parameter.requires_grad == (".lora_" in name) for name, parameter in model.named_parameters())


def test_weights_come_back_and_others_are_refused(tmp_path: Path) -> None:
    model = model_of()
    reader = lora_of(model)
    assert (
        load_lora(model, "reader", file_in(tmp_path, READER_WEIGHTS)) is None
        and load_lora(model, "reader", None) is None
    )
    save_file({name: weight.detach() for name, weight in reader.weights().items()}, tmp_path / READER_WEIGHTS)
    again = load_lora(model, "again", tmp_path / READER_WEIGHTS)
    assert again is not None and not any(weight.requires_grad for weight in again.weights().values())
    with reader.in_force():
        expected = logits(model, ids(9, 1))
    with again.in_force():
        assert torch.equal(logits(model, ids(9, 1)), expected)
    with pytest.raises(ModelUnavailable, match="cannot be used"):
        load_lora(base_model(hidden_size=48), "reader", tmp_path / READER_WEIGHTS)
    (tmp_path / READER_WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(ModelUnavailable, match="is damaged"):
        load_lora(model, "reader", tmp_path / READER_WEIGHTS)
