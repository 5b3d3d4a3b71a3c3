"""Registers: what they hold, against a loop over the tokens."""

from __future__ import annotations

import naive
import pytest
import torch
from infini_attention.memory.gated_state import CHUNK, hold
from infini_attention.memory.parameters import memory_parameters
from torch import Tensor

from models import SEGMENT, decoder_of, memory_model, stream, text


def drawn(tokens: int) -> tuple[Tensor, Tensor]:
    """Signs ``[2, 3, T, 4]`` and logits ``[2, 3, T]`` of gates that are wide open, nearly shut, or between."""
    generator = torch.Generator().manual_seed(tokens)
    signs = torch.randn(2, 3, tokens, 4, generator=generator, dtype=torch.float64).sign()
    return signs, 6 * torch.randn(2, 3, tokens, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("tokens", [1, 5, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_it_holds_what_a_loop_over_the_tokens_leaves(tokens: int) -> None:
    signs, logits = drawn(tokens)
    logits.requires_grad_()
    held = hold(signs, logits)
    loops = [naive.gated_state(signs[b, h], logits[b, h])[1:] for b in range(2) for h in range(3)]
    wanted = torch.stack([torch.stack(loop) for loop in loops]).reshape(held.shape)
    torch.testing.assert_close(held, wanted, rtol=1e-9, atol=1e-12)
    weighs = torch.linspace(-1, 1, held.numel(), dtype=held.dtype).reshape(held.shape)
    ours, theirs = (torch.autograd.grad((weighs * found).sum(), logits)[0] for found in (held, wanted))
    assert theirs.any()
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("first", [1, CHUNK, CHUNK + 3])
def test_it_goes_on_from_what_it_held(first: int) -> None:
    signs, logits = drawn(2 * CHUNK)
    whole = hold(signs, logits)
    before = hold(signs[:, :, :first], logits[..., :first])
    after = hold(signs[:, :, first:], logits[..., first:], before[:, :, -1])
    torch.testing.assert_close(torch.cat([before, after], 2), whole, rtol=1e-9, atol=1e-12)


def test_gates_as_far_out_as_they_can_be_give_numbers_and_gradients() -> None:
    signs, _ = drawn(2 * CHUNK)
    logits = torch.full((2, 3, 2 * CHUNK), 1e4)
    logits[..., ::2] = -1e4
    held = hold(signs.float(), logits.requires_grad_())
    # Every second token is taken in whole, the others not at all.
    assert torch.equal(held[:, :, 1::2], signs[:, :, 1::2].float())
    assert torch.equal(held[:, :, 2::2], signs[:, :, 1:-1:2].float())
    (gradient,) = torch.autograd.grad(held.sum(), logits)
    assert torch.isfinite(gradient).all()


def test_a_question_finds_by_a_name_what_was_said_after_that_name() -> None:
    """A gate that opens for names alone makes the key of what follows and the query after the name the same."""
    model = memory_model(key_state_layers=(0,), base={"layers": 1})
    path = decoder_of(model).layers[0].self_attn.infini
    parameters = memory_parameters(model)
    ann, bob, mill, pond = 5, 17, 31, 44
    embedded = decoder_of(model).embed_tokens.weight.detach()
    hidden = decoder_of(model).layers[0].input_layernorm(embedded)
    names = torch.linalg.pinv(hidden) @ torch.tensor([float(token in (ann, bob)) for token in range(len(hidden))]).to(
        hidden
    )
    with torch.no_grad():
        parameters["layers.0.key_state_weight"].copy_(200 * names[:, None])
        parameters["layers.0.key_state_bias"].fill_(-60.0)
    seen: dict[str, list[Tensor]] = {"keys": [], "queries": []}
    original = path._beside

    def beside(*args: object) -> Tensor:
        found: Tensor = original(*args)
        seen["keys"].append(found[:, :-1])
        seen["queries"].append(found[:, 1:])
        return found

    path._beside = beside
    told = [ann, 2, 3, 4, mill, 9, bob, pond]
    asked = [6, ann, 8, 9]
    assert len(told) == SEGMENT
    stream(model, torch.tensor([told + asked]), [])
    (keys, _), (_, queries) = seen["keys"], seen["queries"]
    assert torch.allclose(queries[0, 3], keys[0, told.index(mill)])
    assert not torch.allclose(queries[0, 3], keys[0, told.index(pond)])


def test_it_is_empty_where_a_segment_begins() -> None:
    model = memory_model(key_state_layers=(1,))
    _, cache = stream(model, text(SEGMENT + 3), [])
    held = cache.memories[1].key_state
    assert held is not None and held.any() and cache.memories[0].key_state is None
    _, cache = stream(model, text(2 * SEGMENT), [])
    assert cache.memories[1].key_state is None
