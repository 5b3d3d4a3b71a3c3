"""The real bases: SmolLM2-135M from the cache, Gemma-3-270M from ``INFINI_TEST_GEMMA_GGUF``."""

from __future__ import annotations

import pytest
import torch
from infini_attention import InfiniConfig, eject, load_model, new_cache
from infini_attention.memory.inject import memory_off

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
