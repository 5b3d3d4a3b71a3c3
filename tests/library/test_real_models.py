"""The real bases: SmolLM2-135M from the cache, Gemma-3-270M from ``INFINI_TEST_GEMMA_GGUF``."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from infini_attention import InfiniConfig, eject, inject, load_model, new_cache
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import injection, memory_off
from transformers import AutoModelForCausalLM, AutoTokenizer

from models import decoder_of

GEMMA = os.environ.get("INFINI_TEST_GEMMA_GGUF", "")
STORY = (
    "In the winter of 1891 the ferry stopped running, and the island kept its own time. Marta Lindqvist, who had the "
    "only clock that struck the hours, was asked so often that she hung a lantern in her window: green for the even "
    "hours and red for the odd ones. By February nobody remembered which of the two had come first. "
)


@pytest.mark.slow
def test_smollm2_has_the_bits_of_its_base_while_its_memory_is_empty() -> None:
    loaded = load_model(device="cpu", fetch=False)
    ids = torch.tensor([loaded.encode(STORY)])
    assert 50 < ids.shape[1] < loaded.config.segment_length
    with torch.inference_mode():
        logits = loaded.model(input_ids=ids, past_key_values=new_cache(loaded.model)).logits
        with memory_off(loaded.model):
            assert torch.equal(logits, loaded.model(input_ids=ids).logits)
        eject(loaded.model)
        assert torch.equal(logits, loaded.model(input_ids=ids).logits)


@pytest.mark.slow
def test_smollm2_reads_its_memory_in_the_second_segment() -> None:
    loaded = load_model(device="cpu", dtype="fp32", config=InfiniConfig(segment_length=64), untrained=True, fetch=False)
    ids = loaded.encode(STORY * 5)[:150]
    whole, parts = loaded.engine(), loaded.engine()
    whole.read(ids)
    parts.read(ids[:70])
    parts.read(ids[70:])
    one, two = whole.snapshot(loaded.origin), parts.snapshot(loaded.origin)
    assert one.header() == two.header()
    # 30 layers of 3 KV heads of 64 x 64 floats.
    assert one.memory_bytes == 30 * 3 * 64 * 64 * 4
    cache, empty = whole.cache.fork(), new_cache(loaded.model)
    with torch.inference_mode():
        following = torch.tensor([ids[128:140]])
        read, unread = (loaded.model(input_ids=following, past_key_values=c).logits for c in (cache, empty))
    assert read.isfinite().all()
    assert (read - unread).abs().max() > 1e-2


@pytest.mark.skipif(not Path(GEMMA).is_file(), reason="INFINI_TEST_GEMMA_GGUF names no file")
def test_gemma3_has_the_bits_of_its_base_and_streams_and_generates() -> None:
    folder, name = os.path.split(os.path.abspath(GEMMA))
    model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    ids = torch.tensor([tokenizer(STORY * 5, add_special_tokens=False)["input_ids"][:300]])
    assert ids.shape == (1, 300)
    with torch.inference_mode():
        wanted = copy.deepcopy(model)(input_ids=ids).logits
        inject(model, InfiniConfig(segment_length=512))
        assert torch.equal(model(input_ids=ids).logits, wanted)
        eject(model)
        inject(model, InfiniConfig(segment_length=64))
        engine = Engine(model)
        engine.read(ids[0])
        assert (engine.cache.segments, len(engine.open_ids)) == (4, 44)
        memories = [layer.memory for layer in engine.cache.memories.values()]
        assert len(memories) == len(decoder_of(model).layers)
        assert all(m is not None and m.matrix.dtype == torch.float32 and m.matrix.isfinite().all() for m in memories)
        answer = list(engine.generate(tokenizer(" The lantern", add_special_tokens=False)["input_ids"], 40))
        assert len(answer) == 40
        options = {"max_new_tokens": 8, "do_sample": False}
        generated = model.generate(ids, past_key_values=new_cache(model), **options)
        assert generated.shape == (1, 308)
        eject(model)
        assert injection(model) is None
        assert torch.equal(model(input_ids=ids).logits, wanted)
