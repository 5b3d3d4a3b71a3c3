"""``model.generate`` with an InfiniCache: greedy, over borders, beams."""

from __future__ import annotations

import functools
from typing import Any, cast

import pytest
import torch
from infini_attention.memory.cache import InfiniCache
from infini_attention.memory.decoding import NeverBegins
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import new_cache
from torch import Tensor

from models import (
    FAMILIES,
    GATES,
    RULES,
    SEGMENT,
    Model,
    logits_of,
    memory_model,
    memory_tensors,
    stream,
    text,
)

TIGHT: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-8}


@functools.cache
def model_of(family: str, rule: str = "deltanet", gate: str = "residual") -> Model:
    return memory_model(family, update_rule=rule, gate=gate)


def generate(model: Model, ids: Tensor, tokens: int, **options: Any) -> Tensor:
    options = {"do_sample": False, "past_key_values": new_cache(model), **options}
    return cast(Tensor, model.generate(ids, max_new_tokens=tokens, **options))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prompt", [1, SEGMENT - 2, SEGMENT, 2 * SEGMENT + 5])
def test_generation_over_borders_agrees_with_a_fresh_pass_over_the_whole_text(family: str, prompt: int) -> None:
    model, cache = model_of(family), new_cache(model_of(family))
    whole = generate(model, text(prompt, batch=2), 2 * SEGMENT + 3, past_key_values=cache)
    logits, fresh = stream(model, whole[:, :-1], [])
    assert torch.equal(whole[:, prompt:], logits[:, prompt - 1 :].argmax(-1))
    # The last token was given, but not read.
    read = prompt + 2 * SEGMENT + 2
    assert (cache.tokens, cache.segments, cache.open_tokens) == (read, *divmod(read, SEGMENT))
    for ours, wanted in zip(memory_tensors(cache), memory_tensors(fresh), strict=True):
        torch.testing.assert_close(ours, wanted, **TIGHT)


def test_every_generated_token_depends_on_what_was_read_long_ago() -> None:
    model = model_of("llama")
    one, two = text(4 * SEGMENT), text(4 * SEGMENT)
    two[:, :SEGMENT] = two[:, :SEGMENT] % 60 + 1
    forced = text(2 * SEGMENT, seed=8)
    caches = [stream(model, ids, [])[1] for ids in (one, two)]
    for token in forced.T:
        left, right = (logits_of(model, token[None], cache) for cache in caches)
        assert not torch.allclose(left, right, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gate", GATES)
def test_generate_gives_the_greedy_ids_of_the_engine(rule: str, gate: str) -> None:
    model, prompt = model_of("llama", rule, gate), text(2 * SEGMENT + 3)
    wanted = generate(model, prompt, 20)[0, prompt.shape[1] :].tolist()
    assert list(Engine(model).generate(prompt[0].tolist(), 20)) == wanted


def test_generate_makes_its_own_infini_cache_from_an_engine_that_has_read() -> None:
    # The prompt fits into the open segment, so the engine closes nothing before it.
    model, ids = memory_model(segment_length=24), text(60)
    engine = Engine(model)
    engine.read(ids[0, :50].tolist())
    wanted = list(engine.generate(ids[0, 50:].tolist(), 12))
    cache = engine.cache.fork()
    assert cache.tokens == 48
    assert generate(model, ids, 12, past_key_values=cache)[0, 60:].tolist() == wanted
    assert generate(model, ids, 12)[0, 60:].tolist() == wanted


@pytest.mark.parametrize("prompt", [4, 2 * SEGMENT + 5])
def test_generate_makes_the_cache_itself(prompt: int) -> None:
    model = model_of("llama")
    found = model.generate(text(prompt), max_new_tokens=2 * SEGMENT, do_sample=False)
    assert torch.equal(found, generate(model, text(prompt), 2 * SEGMENT))
    again = model.generate(text(prompt), max_new_tokens=2 * SEGMENT, do_sample=False, use_cache=False)
    assert torch.equal(found, again)


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma3"])
def test_beam_search_does_not_depend_on_the_order_of_the_batch(family: str) -> None:
    model, prompts = model_of(family), text(SEGMENT + 3, batch=3)
    options: dict[str, Any] = {"num_beams": 3, "return_dict_in_generate": True, "output_scores": True}
    together = generate_beams(model, prompts, **options)
    turned = generate_beams(model, prompts.flip(0), **options)
    assert torch.equal(together.sequences.flip(0), turned.sequences)
    for row in range(3):
        alone = generate_beams(model, prompts[row : row + 1], **options)
        assert torch.equal(alone.sequences, together.sequences[row : row + 1])


@pytest.mark.parametrize("rule", RULES)
def test_beam_scores_are_those_of_a_fresh_pass_so_each_beam_keeps_its_own_memory(rule: str) -> None:
    model, prompts = model_of("qwen2", rule), text(SEGMENT + 3, batch=2)
    found = generate_beams(
        model, prompts, num_beams=4, num_return_sequences=4, return_dict_in_generate=True, output_scores=True
    )
    logits = logits_of(model, found.sequences)[:, SEGMENT + 2 : -1]
    chosen = found.sequences[:, SEGMENT + 3 :, None]
    wanted = logits.log_softmax(-1).gather(-1, chosen)[..., 0].mean(-1)
    torch.testing.assert_close(found.sequences_scores.double(), wanted, rtol=1e-5, atol=1e-6)
    best = found.sequences_scores.reshape(2, 4)
    assert (best.diff(dim=1) <= 1e-9).all()


def generate_beams(model: Model, prompts: Tensor, **options: Any) -> Any:
    return generate(model, prompts, 2 * SEGMENT, **options)


def test_a_repeated_batch_repeats_memories_and_open_tokens() -> None:
    model, ids = model_of("llama"), text(SEGMENT + 3, batch=2)
    _, cache = stream(model, ids, [])
    cache.batch_repeat_interleave(2)
    _, wide = stream(model, ids.repeat_interleave(2, 0), [])
    following = text(SEGMENT, batch=4, seed=6)
    torch.testing.assert_close(logits_of(model, following, cache), logits_of(model, following, wide), **TIGHT)
    cache.reorder_cache(cast(torch.LongTensor, torch.tensor([3, 2, 1, 0])))
    wide.reorder_cache(cast(torch.LongTensor, torch.tensor([3, 2, 1, 0])))
    _, turned = stream(model, torch.cat([ids.repeat_interleave(2, 0), following], 1).flip(0), [])
    for ours, wanted in zip(memory_tensors(cache), memory_tensors(turned), strict=True):
        torch.testing.assert_close(ours, wanted, **TIGHT)
    later = text(3, batch=4, seed=7)
    torch.testing.assert_close(logits_of(model, later, cache), logits_of(model, later, turned), **TIGHT)


def test_the_cache_tells_transformers_what_it_has_seen() -> None:
    model = model_of("llama")
    _, cache = stream(model, text(2 * SEGMENT + 3), [])
    assert isinstance(cache, InfiniCache)
    assert cache.get_seq_length() == 2 * SEGMENT + 3
    assert cache.get_max_length() == -1
    assert cache.room == SEGMENT - 3


def test_an_answer_does_not_begin_with_what_is_kept_from_it() -> None:
    never = NeverBegins(2, [[7, 5], [3]])
    logits = torch.zeros(1, 9)

    def kept_out(*history: int) -> list[int]:
        scores = never(torch.tensor([history]), logits)  # type: ignore[arg-type]
        return torch.nonzero(scores[0].isinf())[:, 0].tolist()

    assert kept_out(7, 5) == [3] and kept_out(0, 1, 7) == [5]
    assert kept_out(0, 1, 8) == kept_out(0, 1, 7, 2) == kept_out(0, 7, 7, 7) == []
    assert not logits.isinf().any()
