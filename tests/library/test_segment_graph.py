"""Whole segments read from a recording: the same memories and hidden states as read anew."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from infini_attention.memory import segment_graph as segment_graph_module
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import injection, new_cache
from infini_attention.memory.parameters import memory_paths
from infini_attention.memory.segment_graph import SegmentGraph, read_segment, segment_graph

from models import ORIGIN, RULES, SEGMENT, Again, memory_model, stream, text


@pytest.mark.parametrize("rule", RULES)
@torch.inference_mode()
def test_a_recording_reads_what_the_decoder_reads(rule: str) -> None:
    beside: dict[str, Any] = (
        {"ngrams": (2, 3), "key_state_layers": (1,), "value_state_layers": (0,)} if rule == "deltanet" else {}
    )
    model, ids = memory_model(update_rule=rule, **beside), text(6 * SEGMENT)
    engine = Engine(model)
    engine.read(ids[0, : 2 * SEGMENT])
    graph = SegmentGraph(model, engine.cache, ids[:, :SEGMENT], Again)
    other = engine.fork()
    kept = [layer.memory for layer in other.cache.memories.values()]
    for start in range(2 * SEGMENT, 6 * SEGMENT, SEGMENT):
        segment = ids[:, start : start + SEGMENT]
        hidden = graph.read(engine.cache, segment)
        assert torch.equal(hidden, other.step(segment))
        assert (engine.cache.tokens, engine.cache.segments) == (other.cache.tokens, other.cache.segments)
    one, two = engine.snapshot(ORIGIN), other.snapshot(ORIGIN)
    assert one.tensors.keys() == two.tensors.keys()
    assert all(torch.equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())
    # A fork keeps what it had read.
    assert all(memory is not None for memory in kept)
    assert engine.generate([1, 2], 1) is not None


def test_a_processor_has_no_recordings() -> None:
    model = memory_model()
    _, cache = stream(model, text(3 * SEGMENT), [])
    with torch.inference_mode():
        assert segment_graph(model, cache, text(SEGMENT)) is None


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are read from recordings, as on CUDA."""
    monkeypatch.setattr(segment_graph_module, "_on_cuda", lambda ids: True)
    monkeypatch.setattr(segment_graph_module, "recorder", lambda: Again)


def test_documents_one_after_the_other_read_the_same_with_recordings(request: pytest.FixtureRequest) -> None:
    model = memory_model(ngrams=(2, 3), key_state_layers=(1,), reread_first=True)
    record = injection(model)
    assert record is not None
    read = []
    for recorded in (False, True):
        if recorded:
            request.getfixturevalue("recorded")
        engines = [Engine(model) for _ in range(5)]
        for number, engine in enumerate(engines):
            engine.read(text(5 * SEGMENT + 3, seed=number)[0])
        read.append([engine.snapshot(ORIGIN).tensors for engine in engines])
        assert len([one for one in record.graphs.values() if isinstance(one, SegmentGraph)]) == (1 if recorded else 0)
    for plain, replayed in zip(*read, strict=True):
        assert plain.keys() == replayed.keys()
        assert all(torch.equal(tensor, replayed[name]) for name, tensor in plain.items())


@torch.inference_mode()
def test_documents_side_by_side_read_the_same_with_recordings(recorded: None) -> None:
    model, ids = memory_model(ngrams=(2, 3), key_state_layers=(1,), value_state_layers=(0,)), text(6 * SEGMENT, batch=3)
    record = injection(model)
    assert record is not None
    one, other = new_cache(model), new_cache(model)
    for segment in torch.split(ids, SEGMENT, 1):
        plain = model.get_decoder()(input_ids=segment, past_key_values=other).last_hidden_state
        assert torch.equal(read_segment(model, one, segment), plain)
    assert [type(graph) for graph in record.graphs.values()] == [SegmentGraph]
    assert one.tokens == other.tokens == 6 * SEGMENT


@torch.inference_mode()
def test_a_model_that_was_moved_is_recorded_anew(recorded: None) -> None:
    model, ids = memory_model(ngrams=(2,)), text(6 * SEGMENT)
    engine, other = Engine(model), Engine(model)
    engine.read(ids[0])
    record = injection(model)
    assert record is not None
    (before,) = record.graphs.values()
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    assert not before.in_place
    other.read(ids[0])
    (after,) = record.graphs.values()
    assert after is not before and after.in_place
    assert engine.snapshot(ORIGIN).tensors.keys() == other.snapshot(ORIGIN).tensors.keys()
    for name, tensor in engine.snapshot(ORIGIN).tensors.items():
        assert torch.equal(tensor, other.snapshot(ORIGIN).tensors[name])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("rule", RULES)
def test_cuda_graphs_give_the_bits_that_were_read_before_they_were_recorded(rule: str) -> None:
    beside: dict[str, Any] = (
        {"ngrams": (2, 3), "key_state_layers": (1,), "value_state_layers": (0,)} if rule == "deltanet" else {}
    )
    model, ids = memory_model(update_rule=rule, dtype=torch.float32, **beside).to("cuda"), text(9 * SEGMENT)[0]
    engine = Engine(model)
    engine.read(ids)
    record = injection(model)
    assert record is not None and any(isinstance(one, SegmentGraph) for one in record.graphs.values())
    handles = [path.register_forward_hook(lambda *_: None) for path in memory_paths(model).values()]
    other = Engine(model)
    other.read(ids)
    for handle in handles:
        handle.remove()
    one, two = engine.snapshot(ORIGIN), other.snapshot(ORIGIN)
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(tensor, two.tensors[name], rtol=1e-4, atol=1e-5)
