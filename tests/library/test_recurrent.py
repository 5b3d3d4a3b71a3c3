"""The baseline ``rmt``: memory tokens, compared with the base on the same embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from infini_attention.errors import InfiniError
from infini_attention.evaluate.baselines.recurrent import FIRST, WEIGHTS, MemoryTokens, Recurrent, load_recurrent
from infini_attention.memory.inject import inject, memory_off
from infini_attention.train.memory_tokens import RecurrentRollout
from infini_attention.train.segments import IGNORED, Segment
from infini_attention.train.trainer import Progress, train
from safetensors.torch import save_file
from torch import Tensor

from models import FAMILIES, SEGMENT, Announced, base_model, short_plan, small_config, text

TOKENS = 3


def tokens_of(family: str = "llama", *, stirred: bool = False) -> MemoryTokens:
    model = base_model(family)
    inject(model, small_config())
    tokens = MemoryTokens(model, TOKENS, rank=2)
    if stirred:
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in tokens.weights().values():
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return tokens


def read_by_the_base(model: Any, first: Tensor, segments: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Hidden states of every segment and the memory tokens after the last, from nothing but the base's forward."""
    memory, hidden = first.expand(len(segments[0]), -1, -1), []
    for ids in segments:
        embedded = torch.cat([memory, model.get_input_embeddings()(ids), memory], 1)
        out = model.model(inputs_embeds=embedded).last_hidden_state
        hidden.append(out[:, len(first) : len(first) + ids.shape[1]])
        memory = out[:, len(first) + ids.shape[1] :]
    return hidden, memory


@pytest.mark.parametrize("family", FAMILIES)
def test_untrained_changes_leave_the_base_reading_and_writing_memory_tokens(family: str) -> None:
    tokens, base = tokens_of(family), base_model(family)
    segments = list(torch.split(text(3 * SEGMENT), SEGMENT, 1))
    reader = Recurrent(tokens, SEGMENT)
    assert reader.state_bytes == 0
    expected, memory = read_by_the_base(base, tokens.first.detach(), segments)
    for ids, hidden in zip(segments, expected, strict=True):
        torch.testing.assert_close(reader.step(ids), hidden, atol=1e-5, rtol=1e-4)
    assert reader.memory is not None
    torch.testing.assert_close(reader.memory, memory, atol=1e-5, rtol=1e-4)
    assert reader.state_bytes == TOKENS * 32 * 4


def test_an_answer_sees_the_memory_tokens_and_the_open_segment() -> None:
    tokens = tokens_of(stirred=True)
    model: Any = tokens.model
    ids = text(SEGMENT + 2)
    reader = Recurrent(tokens, SEGMENT)
    reader.read(ids[0])
    prompt = text(2, seed=1)[0].tolist()
    whole, expected = [*ids[0, SEGMENT:].tolist(), *prompt], []
    assert reader.memory is not None
    with torch.inference_mode():
        for _ in range(3):
            embedded = torch.cat([reader.memory, model.get_input_embeddings()(torch.tensor([whole]))], 1)
            with memory_off(model):
                hidden = model.get_decoder()(inputs_embeds=embedded).last_hidden_state
            expected.append(int(model.get_output_embeddings()(hidden[0, -1]).argmax()))
            whole.append(expected[-1])
    for _ in range(2):
        assert list(reader.generate(prompt, 3)) == expected
    other = reader.fork()
    other.read(text(SEGMENT, seed=2)[0])
    assert list(reader.generate(prompt, 3)) == expected


def test_a_roll_out_is_the_loss_through_all_segments() -> None:
    tokens, base = tokens_of(), base_model()
    first, asked = text(SEGMENT, batch=2), text(SEGMENT + 1, seed=1, batch=4)
    labels = asked[:, 1:].clone()
    labels[:, :3] = IGNORED
    rollout = RecurrentRollout(tokens)
    names = set(rollout.trained())
    outcome = rollout([Segment(first, None, backprop=False), Segment(asked[:, :-1], labels)])
    torch.autograd.backward(outcome.loss)

    start = tokens.first.detach().clone().requires_grad_()
    memory = read_by_the_base(base, start, [first])[1].repeat_interleave(2, 0)
    embedded = torch.cat([memory, base.get_input_embeddings()(asked[:, :-1]), memory], 1)
    hidden = base.model(inputs_embeds=embedded).last_hidden_state[:, TOKENS:-TOKENS]
    logits = base.get_output_embeddings()(hidden)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    torch.autograd.backward(loss)
    torch.testing.assert_close(outcome.loss, loss)
    assert start.grad is not None and tokens.first.grad is not None
    torch.testing.assert_close(tokens.first.grad, start.grad, atol=1e-5, rtol=1e-3)
    assert int(outcome.labelled) == 4 * (SEGMENT - 3)
    learned = {name for name, parameter in rollout.named_parameters() if parameter.requires_grad}
    assert len(learned) == len(names) and sum("lora_" in name for name in learned) == len(names) - 1
    with pytest.raises(ValueError, match="written again"):
        rollout([Segment(first, None, replayed=(0,)), Segment(first, first)])
    with pytest.raises(ValueError, match="label"):
        rollout([Segment(first)])


def test_the_teacher_is_the_base_without_changes() -> None:
    tokens = tokens_of(stirred=True)
    ids = text(2 * SEGMENT + 1)
    rollout = RecurrentRollout(tokens)
    segments = [Segment(ids[:, :SEGMENT]), Segment(ids[:, SEGMENT:-1], ids[:, SEGMENT + 1 :], distil=True)]
    loss = rollout(segments).loss
    base = base_model()
    expected = base(ids[:, :-1]).logits[:, SEGMENT:].log_softmax(-1)
    hidden, memory = tokens(tokens.start(1), ids[:, :SEGMENT])
    hidden, memory = tokens(memory, ids[:, SEGMENT:-1])
    got = base.get_output_embeddings()(hidden).log_softmax(-1)
    divergence = (expected.exp() * (expected - got)).sum(-1).mean()
    torch.testing.assert_close(loss, divergence)
    assert all(parameter.requires_grad for parameter in rollout.trained().values())


def test_it_learns(tmp_path: Path) -> None:
    told: list[Progress] = []
    train(RecurrentRollout(tokens_of()), {"task": Announced()}, short_plan(40), tmp_path, "run", on_step=told.append)
    losses = [progress.loss for progress in told]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_weights_come_back_and_others_are_refused(tmp_path: Path) -> None:
    tokens = tokens_of(stirred=True)
    save_file({name: weight.detach() for name, weight in tokens.weights().items()}, tmp_path / WEIGHTS)
    model = base_model()
    again = load_recurrent(model, tmp_path, "tiny")
    assert all(torch.equal(weight, again.weights()[name]) for name, weight in tokens.weights().items())
    ids = text(SEGMENT)
    for one, other in zip(tokens(tokens.start(1), ids), again(again.start(1), ids), strict=True):
        torch.testing.assert_close(one, other)
    # The same model may be read with a second time.
    second = load_recurrent(model, tmp_path, "tiny")
    torch.testing.assert_close(second(second.start(1), ids), tokens(tokens.start(1), ids))
    with pytest.raises(InfiniError, match="layers"):
        load_recurrent(base_model(layers=3), tmp_path, "tiny")
    with pytest.raises(InfiniError, match=FIRST):
        load_recurrent(base_model(hidden_size=48), tmp_path, "tiny")
    with pytest.raises(InfiniError, match="has no memory tokens"):
        load_recurrent(base_model(), tmp_path / "none", "tiny")
    with pytest.raises(InfiniError, match="has no memory tokens"):
        load_recurrent(base_model(), None, "tiny")
