"""The writer: parts of a text with the notes on them, learned as one row at a time would be."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import memory_off
from infini_attention.model.adapters import LoraAdapter
from infini_attention.train.note_writing import Writable, WriterRollout, Writing
from infini_attention.train.tasks import BatchShape

from models import Model, lora_of, losses_of, memory_model

PARTS = [
    Writable([10, 11, 12, 13], [[14, 9], [15, 16, 9]]),
    Writable([20, 21, 22], [[23, 9]]),
]


def model_of() -> Model:
    return memory_model(dtype=torch.float32, segment_length=16)


def test_the_loss_is_that_of_every_note_behind_its_own_part() -> None:
    model = model_of()
    changes = lora_of(model)
    learner = WriterRollout(changes)
    weights = learner.trained()
    segments = Writing(PARTS).sample(BatchShape(2, 2, 8, 2), np.random.default_rng(3))
    assert len(segments) == 4
    outcome = learner(segments)
    torch.autograd.backward(outcome.loss)
    found = {name: weight.grad for name, weight in weights.items()}
    for weight in weights.values():
        weight.grad = None
    losses = []
    for view in segments[::2]:
        (part,) = [part for part in PARTS if part.instruction[:-1] == view.ids[0].tolist()]
        for note in part.notes:
            row = torch.tensor([[*part.instruction, *note]])
            with changes.in_force(), memory_off(model):
                told = model(input_ids=row).logits[0, len(part.instruction) - 1 : -1]
            losses += [F.cross_entropy(told, torch.tensor(note), reduction="none")]
    loss = torch.cat(losses).mean()
    torch.testing.assert_close(outcome.loss, loss)
    torch.autograd.backward(loss)
    for name, weight in weights.items():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-3, atol=1e-6)


def test_changes_may_be_in_force_while_an_engine_answers_from_memory() -> None:
    model = model_of()
    changes, engine = lora_of(model), Engine(model)
    engine.read(list(range(10, 42)))
    writing = engine.fork()
    writing.adapter = changes
    found = list(writing.generate([5, 6], 3))
    view = [5, 6]
    for token in found:
        cache = engine.cache.fork()
        with changes.in_force(), torch.inference_mode():
            told = model(input_ids=torch.tensor([view]), past_key_values=cache).logits
        assert int(told[0, -1].argmax()) == token
        view.append(token)
    assert found != list(engine.generate([5, 6], 3))


def test_it_learns() -> None:
    model = model_of()
    learner = WriterRollout(LoraAdapter(model, "reader", rank=4))
    losses = losses_of(learner, Writing(PARTS), BatchShape(2, 2, 8, 2), 50)
    # Two notes on the same part keep it from zero.
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
