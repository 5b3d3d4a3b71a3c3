"""Gradients: through memory to the first segment, to every parameter at the start, and with cheap segments."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from infini_attention.memory import cache
from infini_attention.memory.inject import inject, new_cache
from infini_attention.memory.parameters import memory_parameters
from infini_attention.memory.rules import Write, update
from infini_attention.train import segment_replay
from infini_attention.train.rollout import Rollout, training_cache
from infini_attention.train.segments import IGNORED, Segment
from torch import Tensor

from models import (
    GATES,
    RULES,
    SEGMENT,
    Model,
    base_model,
    decoder_of,
    logits_of,
    memory_model,
    small_config,
    stir,
    text,
)


def trainable(model: Model) -> dict[str, torch.nn.Parameter]:
    """Freezes the base, as training does."""
    model.requires_grad_(False)
    parameters = memory_parameters(model)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
        parameter.grad = None
    return parameters


def segments_of(count: int, *, full: tuple[bool, ...] | None = None, length: int = SEGMENT) -> list[Segment]:
    """Consecutive segments of a text; the last one has labels."""
    ids = text(count * length + 1, batch=2)
    made = []
    for s in range(count):
        labels = ids[:, s * length + 1 : (s + 1) * length + 1] if s + 1 == count else None
        made.append(Segment(ids[:, s * length : (s + 1) * length], labels, full is None or full[s]))
    return made


def gradients(model: Model, segments: list[Segment]) -> dict[str, Tensor]:
    parameters = trainable(model)
    Rollout(model)(segments).loss.backward()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in parameters.items()}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gate", GATES)
def test_a_loss_in_the_third_segment_reaches_what_the_first_one_wrote(rule: str, gate: str) -> None:
    model = memory_model(update_rule=rule, gate=gate)
    trainable(model)
    cache = training_cache(model)
    first = []
    for number in range(3):
        hidden = decoder_of(model)(input_ids=text(SEGMENT, seed=number), past_key_values=cache).last_hidden_state
        if number == 0:
            first = [layer.pending[0] for layer in cache.memories.values()]
        cache.close_segment()
    for write in first:
        parts = [part for part in write if part is not None]
        assert len(parts) == (4 if rule == "deltanet" else 2)
        for number, part in enumerate(torch.autograd.grad(hidden.square().sum(), parts, retain_graph=True)):
            assert part.isfinite().all()
            # Every token of the first segment still counts; only the first one's decay had an empty memory to fade.
            counts = part.abs().reshape(*part.shape[:3], -1).amax(-1) > 0
            assert counts[..., 1 if number == 3 else 0 :].all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gate", GATES)
def test_gradients_also_cross_borders_that_the_model_closes_itself(rule: str, gate: str) -> None:
    model = memory_model(update_rule=rule, gate=gate)
    parameters = trainable(model)
    embeds = model.get_input_embeddings()(text(3 * SEGMENT)).detach().requires_grad_()
    logits = model(inputs_embeds=embeds, past_key_values=new_cache(model)).logits
    (reached,) = torch.autograd.grad(logits[:, -1].square().sum(), [embeds])
    assert (reached.abs().amax(-1) > 0).all()
    assert parameters


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("bias", [-3.0, 0.0])
def test_gates_and_writes_have_a_gradient_at_the_start(rule: str, gate: str, bias: float) -> None:
    # The down projection waits for its up projections, which start at zero; all others must be able to move.
    model = base_model()
    inject(model, small_config(update_rule=rule, gate=gate, gate_bias=bias, decay_tokens=(1500.0, 20_000.0)))
    found = gradients(model, segments_of(3))
    for name, gradient in found.items():
        if not name.endswith(".down"):
            assert gradient.abs().max() > 1e-7, name
            assert gradient.isfinite().all(), name


@pytest.mark.parametrize("tokens", [1.0, 1500.0, 20_000.0])
def test_an_untrained_memory_decays_to_1_over_e_after_its_tokens(tokens: float) -> None:
    model = base_model(dtype=torch.float64)
    inject(model, small_config(decay_tokens=(tokens, float("inf"))))
    cache = new_cache(model)
    logits_of(model, text(3), cache)
    g = cache.memories[0].pending[0].g
    assert g is not None
    torch.testing.assert_close(g[0, 0] * tokens, -torch.ones(3).double(), rtol=1e-3, atol=0)
    assert (g[0, 1] > -1e-6).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gate", GATES)
def test_cheap_segments_give_the_full_gradient_where_writing_is_the_only_way(rule: str, gate: str) -> None:
    # One layer: what it reads goes straight to the output, so early segments matter through their writes alone.
    model = memory_model(update_rule=rule, gate=gate, base={"layers": 1})
    full = gradients(model, segments_of(4))
    cheap = gradients(model, segments_of(4, full=(False, False, False, True)))
    for name in full:
        torch.testing.assert_close(cheap[name], full[name], rtol=1e-5, atol=1e-9, msg=name)
    assert full["layers.0.key_up"].any() and full["layers.0.value_up"].any()


@pytest.mark.parametrize("rule", RULES)
def test_cheap_segments_reach_the_writes_of_every_layer(rule: str) -> None:
    model = memory_model(update_rule=rule)
    # The last segment must not write: what is left comes from the cheap ones.
    found = gradients(model, segments_of(3, full=(False, False, True)))
    for name, gradient in found.items():
        if name.endswith(("key_up", "value_up", "shift_up", "beta_weight", "g_weight")):
            assert gradient.abs().max() > 0, name


def test_cheap_segments_keep_no_graph_of_the_network() -> None:
    model = memory_model()
    trainable(model)
    cache = training_cache(model)
    for layer in cache.memories.values():
        layer.learn_writes = True
    with torch.no_grad():
        hidden = decoder_of(model)(input_ids=text(SEGMENT), past_key_values=cache).last_hidden_state
    assert not hidden.requires_grad
    for layer in cache.memories.values():
        assert layer.pending[0].keys.requires_grad


@pytest.mark.parametrize("full", [True, False])
def test_replays_give_the_loss_and_gradient_of_writing_the_segments_again(full: bool) -> None:
    model = memory_model()
    plain = segments_of(3, full=(full, full, True))
    found = []
    for again in ((0, 1), ()):
        parameters = trainable(model)
        segments = [plain[0], dataclasses.replace(plain[1], replayed=again, times=2), plain[2]]
        if again:
            loss = Rollout(model)(segments).loss
        else:
            cache, writes = training_cache(model), []
            for segment in segments[:2]:
                for layer in cache.memories.values():
                    layer.learn_writes = not full
                with torch.set_grad_enabled(full):
                    decoder_of(model)(input_ids=segment.ids, past_key_values=cache)
                writes.append({index: layer.open_write() for index, layer in cache.memories.items()})
                cache.close_segment()
            # Rows take turns: every other replay of two rows is the other row's.
            for turn, number in enumerate((0, 1, 0, 1)):
                for index, layer in cache.memories.items():
                    parts: list[Any] = [part.roll(turn % 2, 0) for part in writes[number][index] if part is not None]
                    assert layer.memory is not None
                    layer.memory = update("deltanet", layer.memory, Write(*parts))
            logits = model(input_ids=segments[2].ids, past_key_values=cache).logits
            assert segments[2].labels is not None
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), segments[2].labels.flatten())
        loss.backward()
        found.append((loss.detach().double(), {n: p.grad.clone() for n, p in parameters.items() if p.grad is not None}))
    (ours, gradient), (wanted, wanted_gradient) = found
    torch.testing.assert_close(ours, wanted, rtol=1e-6, atol=1e-6)
    assert gradient.keys() == wanted_gradient.keys()
    for name in gradient:
        torch.testing.assert_close(gradient[name], wanted_gradient[name], rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.parametrize("rule", RULES)
def test_layers_that_are_updated_at_once_are_updated_as_if_alone(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, segments = memory_model(update_rule=rule), segments_of(4)
    if rule == "deltanet":
        segments[1] = dataclasses.replace(segments[1], replayed=(0, 1), times=3)
    wanted = gradients(model, segments)
    for module in (cache, segment_replay):
        monkeypatch.setattr(module, "together", lambda writes: [list(range(len(writes)))])
    for name, gradient in gradients(model, segments).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-5, atol=1e-8, msg=name)


def test_layers_of_one_shape_are_updated_at_once_on_an_accelerator_alone() -> None:
    def write(tokens: int, device: str) -> Write:
        return Write(torch.empty(1, 2, tokens, 8, device=device), torch.empty(1, 2, tokens, 4, device=device))

    assert cache.together([write(5, "meta"), write(6, "meta"), write(5, "meta")]) == [[0, 2], [1]]
    assert cache.together([write(5, "cpu"), write(5, "cpu")]) == [[0], [1]]


def test_several_questions_read_the_memory_of_one_text() -> None:
    model, ids = memory_model(), text(SEGMENT)
    rows = text(2 * SEGMENT, batch=3, seed=4)[:, : SEGMENT + 1]
    together = Rollout(model)([Segment(ids), Segment(rows[:, :-1], rows[:, 1:])]).loss
    alone = [Rollout(model)([Segment(ids), Segment(row[None, :-1], row[None, 1:])]).loss for row in rows]
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_nothing_is_tracked_without_gradients() -> None:
    model = memory_model()
    trainable(model)
    with torch.no_grad():
        outcome = Rollout(model)(segments_of(3, full=(False, True, True)))
    assert not outcome.loss.requires_grad


def test_a_roll_out_counts_labels_and_hits_and_ignores_the_others() -> None:
    model = memory_model()
    ids = text(2 * SEGMENT, batch=2)
    labels = torch.full((2, SEGMENT), IGNORED)
    logits = logits_of(model, ids)[:, SEGMENT:]
    labels[0, 2], labels[1, 5] = int(logits[0, 2].argmax()), int(logits[1, 5].argmin())
    outcome = Rollout(model)([Segment(ids[:, :SEGMENT]), Segment(ids[:, SEGMENT:], labels)])
    assert (int(outcome.correct), int(outcome.labelled)) == (1, 2)
    log = logits.log_softmax(-1)
    wanted = -(log[0, 2].max() + log[1, 5, labels[1, 5]]) / 2
    torch.testing.assert_close(outcome.loss.double(), wanted, rtol=1e-6, atol=1e-6)


def test_a_roll_out_without_labels_is_refused() -> None:
    model = memory_model()
    with pytest.raises(ValueError, match="label"):
        Rollout(model)([Segment(text(SEGMENT))])


def test_a_roll_out_may_have_segments_of_another_length_than_the_engine() -> None:
    model = memory_model()
    outcome = Rollout(model)(segments_of(3, length=3 * SEGMENT))
    long = base_model(dtype=torch.float64)
    inject(long, small_config(segment_length=3 * SEGMENT))
    stir(long)
    ids = text(9 * SEGMENT + 1, batch=2)
    logits = logits_of(long, ids[:, :-1])[:, 6 * SEGMENT :]
    wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 6 * SEGMENT + 1 :].flatten())
    torch.testing.assert_close(outcome.loss.double(), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("full", [True, False])
def test_a_first_segment_that_is_read_again_is_learned_as_two(full: bool) -> None:
    first, second, last = segments_of(3, full=(full, full, True))
    first = dataclasses.replace(first, labels=second.ids, replayed=(0,), times=2)
    twice = [
        dataclasses.replace(first, replayed=()),
        dataclasses.replace(first, labels=None, replayed=(1,)),
        second,
        last,
    ]
    model, again = memory_model(), memory_model(reread_first=True)
    expected, found = gradients(model, twice), gradients(again, [first, second, last])
    torch.testing.assert_close(Rollout(again)([first, second, last]).loss, Rollout(model)(twice).loss)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7)
    once = gradients(model, [first, second, last])
    assert any(not torch.allclose(once[name], gradient, rtol=1e-2) for name, gradient in expected.items())
