"""What transformers' own tests of generation ask of caches, on a model whose memory stays closed; the base is the control."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import torch
from infini_attention.errors import UseError
from infini_attention.memory.inject import inject, new_cache
from torch import Tensor

from models import Model, base_model, small_config, text

PROMPT = text(9, batch=2)
NEW = 6


@functools.cache
def pair(family: str = "llama", attention: str = "sdpa") -> tuple[Model, Model]:
    """A base, and the same one with a memory that is never written, in a segment with room for all."""
    # Frozen as inject freezes it: torch multiplies a little differently with weights that can be trained.
    base = base_model(family).requires_grad_(False)
    base.set_attn_implementation(attention)
    model = copy.deepcopy(base)
    inject(model, small_config(segment_length=64))
    return base, model


def generate(model: Model, inputs: Tensor = PROMPT, **options: Any) -> Any:
    torch.manual_seed(0)
    return model.generate(inputs, **{"max_new_tokens": NEW, "do_sample": False, **options})


OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sample": {"do_sample": True, "top_k": 20, "temperature": 0.7},
    "sequences": {"do_sample": True, "num_return_sequences": 3},
    "beams": {"num_beams": 3, "num_return_sequences": 2},
    "beam sample": {"num_beams": 2, "do_sample": True},
    "no cache": {"use_cache": False},
    "prefill in chunks": {"prefill_chunk_size": 4},
    "repetition": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    "guidance": {"guidance_scale": 1.5},
    "mask": {"attention_mask": torch.ones_like(PROMPT)},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_each_way_of_decoding(family: str, options: str) -> None:
    base, model = pair(family)
    assert torch.equal(generate(model, **OPTIONS[options]), generate(base, **OPTIONS[options]))


@pytest.mark.parametrize("options", ["greedy", "sample", "beams", "no cache"])
def test_outputs_as_dicts(options: str) -> None:
    asked = ("scores", "logits", "hidden_states", "attentions")
    told: dict[str, Any] = {"return_dict_in_generate": True, **{f"output_{name}": True for name in asked}}
    wanted, found = (generate(one, **told, **OPTIONS[options]) for one in pair(attention="eager"))
    assert type(found) is type(wanted) and set(found) == set(wanted)
    for name in asked:
        ours, theirs = flat(found[name]), flat(wanted[name])
        assert len(ours) == len(theirs) > 0 and all(map(torch.equal, ours, theirs)), name


def flat(nested: Any) -> list[Tensor]:
    return [nested] if isinstance(nested, Tensor) else [one for part in nested for one in flat(part)]


def test_embeddings_in_the_place_of_ids() -> None:
    base, model = pair()
    for given in ({}, {"input_ids": PROMPT}):
        outputs = []
        for one in (model, base):
            embedded = one.get_input_embeddings()(PROMPT)
            outputs.append(one.generate(inputs_embeds=embedded, max_new_tokens=NEW, do_sample=False, **given))
        assert torch.equal(*outputs)


def test_generation_that_goes_on_from_a_cache() -> None:
    base, model = pair()
    whole = generate(base, max_new_tokens=2 * NEW)
    for one in (base, model):
        first = generate(one, return_dict_in_generate=True)
        rest = generate(one, first.sequences, past_key_values=first.past_key_values)
        assert torch.equal(rest, whole)
        # The caches went on; what was given is what was read.
        assert first.past_key_values.get_seq_length() == whole.shape[1] - 1


def test_one_cache_for_many_continuations() -> None:
    base, model = pair()
    cache = new_cache(model)
    with torch.no_grad():
        model(PROMPT[:, :-1], past_key_values=cache)
    for _ in range(2):
        assert torch.equal(generate(model, past_key_values=cache.fork()), generate(base))
        assert torch.equal(generate(model, past_key_values=copy.deepcopy(cache)), generate(base))


@pytest.mark.parametrize("family", ["llama", "gemma3"])
@pytest.mark.parametrize(
    "options", [{"prompt_lookup_num_tokens": 3}, {"assistant_early_exit": 1}, {"do_sample": True, "assistant": True}]
)
def test_drafts(family: str, options: dict[str, Any]) -> None:
    base, model = pair(family)
    asked = {name: value for name, value in options.items() if name != "assistant"}
    if "assistant" in options:
        asked["assistant_model"] = base
    assert torch.equal(*(generate(one, PROMPT[:1], **asked) for one in (model, base)))


@pytest.mark.parametrize(
    "options",
    [
        *({"cache_implementation": name} for name in ("static", "offloaded", "quantized", "dynamic")),
        {"attention_mask": torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1, 1], [1] * 9])},
    ],
    ids=str,
)
def test_what_is_refused_says_so(options: dict[str, Any]) -> None:
    with pytest.raises(UseError):
        generate(pair()[1], **options)


def test_logits_to_keep() -> None:
    base, model = pair()
    for keep in (1, 3, torch.tensor([0, 4])):
        assert torch.equal(model(PROMPT, logits_to_keep=keep).logits, base(PROMPT, logits_to_keep=keep).logits)
