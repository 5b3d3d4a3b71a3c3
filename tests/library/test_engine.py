"""The engine: reading in any split, saving and going on, forks, generation that changes nothing."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import injection, new_cache
from infini_attention.memory.state import MemoryState
from infini_attention.memory.state_tensors import OPEN_IDS
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from models import (
    FAMILIES,
    ORIGIN,
    RULES,
    SEGMENT,
    Model,
    base_model,
    logits_of,
    memory_model,
    memory_tensors,
    stream,
    text,
)


@functools.cache
def model_of(family: str = "llama", rule: str = "deltanet", segment_length: int = SEGMENT) -> Model:
    beside: dict[str, Any] = (
        {"ngrams": (2, 3), "key_state_layers": (0, 1), "value_state_layers": (0, 1)} if rule == "deltanet" else {}
    )
    return memory_model(family, dtype=torch.float32, update_rule=rule, segment_length=segment_length, **beside)


def reader(ids: Tensor | None = None, **choice: Any) -> Engine:
    engine = Engine(model_of(**choice))
    if ids is not None:
        engine.read(ids[0].tolist())
    return engine


def assert_same_state(left: MemoryState, right: MemoryState) -> None:
    assert (left.tokens, left.segments, left.origin, left.sources) == (
        right.tokens, right.segments, right.origin, right.sources,
    )  # fmt: skip
    assert list(left.tensors) == list(right.tensors)
    for name, tensor in left.tensors.items():
        assert tensor.dtype == right.tensors[name].dtype and torch.equal(tensor, right.tensors[name]), name


@given(
    st.sampled_from(FAMILIES),
    st.sampled_from(RULES),
    st.integers(0, 40),
    st.lists(st.integers(0, 19), max_size=8),
    st.booleans(),
)
def test_reading_in_any_split_gives_the_same_bits(
    family: str, rule: str, tokens: int, split: list[int], as_tensor: bool
) -> None:
    ids = text(tokens)[0]
    whole, parts = (Engine(model_of(family, rule)) for _ in range(2))
    whole.read(ids.tolist())
    start = 0
    for size in [*split, tokens]:
        piece = ids[start : start + size]
        parts.read(piece if as_tensor else piece.tolist())
        start += size
    assert_same_state(parts.snapshot(ORIGIN), whole.snapshot(ORIGIN))
    assert (whole.tokens_read, len(whole.open_ids)) == (tokens, tokens % SEGMENT)


@pytest.mark.parametrize("rule", RULES)
def test_what_is_read_is_what_one_pass_through_the_model_writes(rule: str) -> None:
    model, ids = memory_model(update_rule=rule), text(4 * SEGMENT + 3)
    engine = Engine(model)
    engine.read(ids[0])
    _, cache = stream(model, ids, [])
    for ours, wanted in zip(memory_tensors(engine.cache), memory_tensors(cache), strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-10)


def test_each_closed_segment_is_told_once() -> None:
    engine = reader()
    told: list[int] = []
    for size in (SEGMENT - 1, 1, 0, 2 * SEGMENT + 3):
        engine.read(text(size)[0], on_segment=told.append)
    assert told == [SEGMENT] * 3


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["state.pt", "state.safetensors"])
@pytest.mark.parametrize("cut", [0, 3, SEGMENT, 2 * SEGMENT + 5])
def test_save_load_and_go_on_equals_not_having_stopped(rule: str, name: str, cut: int, tmp_path: Path) -> None:
    ids = text(4 * SEGMENT + 3)
    straight = reader(ids, rule=rule)
    first = reader(ids[:, :cut], rule=rule)
    first.snapshot(ORIGIN).save(tmp_path / name)
    second = reader(rule=rule)
    second.read([1, 2, 3])
    second.restore(MemoryState.load(tmp_path / name), ORIGIN)
    assert second.tokens_read == cut
    second.read(ids[0, cut:])
    assert_same_state(second.snapshot(ORIGIN), straight.snapshot(ORIGIN))
    following = text(5, seed=7)
    logits = [logits_of(e.model, following, e.cache.fork()) for e in (straight, second)]
    assert torch.equal(*logits)
    answers = [list(e.generate([4, 5], 12)) for e in (straight, second)]
    assert answers[0] == answers[1]


def test_a_snapshot_is_not_changed_by_later_reading() -> None:
    ids = text(4 * SEGMENT)
    engine = reader(ids[:, : SEGMENT + 2])
    state = engine.snapshot(ORIGIN)
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    engine.read(ids[0])
    list(engine.generate([5], 10))
    assert all(torch.equal(tensor, state.tensors[name]) for name, tensor in before.items())
    assert state.tensors[OPEN_IDS].tolist() == ids[0, SEGMENT : SEGMENT + 2].tolist()


def test_a_restored_engine_does_not_change_its_state() -> None:
    ids = text(4 * SEGMENT)
    state = reader(ids[:, : SEGMENT + 2]).snapshot(ORIGIN)
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    engine = reader()
    engine.restore(state, ORIGIN)
    engine.read(ids[0])
    assert all(torch.equal(tensor, state.tensors[name]) for name, tensor in before.items())


def test_the_state_of_another_model_is_not_restored() -> None:
    from infini_attention.errors import StateError

    engine = reader(text(SEGMENT + 3))
    before = engine.snapshot(ORIGIN)
    other = MemoryState(type(ORIGIN)("other", "b", "a", "c"), 0, 0, {OPEN_IDS: torch.zeros(0, dtype=torch.int64)})
    with pytest.raises(StateError):
        engine.restore(other, ORIGIN)
    assert_same_state(engine.snapshot(ORIGIN), before)


def test_reset_forgets_everything() -> None:
    engine = reader(text(3 * SEGMENT + 3))
    engine.reset()
    assert_same_state(engine.snapshot(ORIGIN), reader().snapshot(ORIGIN))
    assert engine.tokens_read == 0


def test_a_fork_goes_on_by_itself_both_ways() -> None:
    ids = text(3 * SEGMENT + 3)
    engine = reader(ids)
    before = engine.snapshot(ORIGIN)
    other = engine.fork()
    other.read(text(2 * SEGMENT, seed=8)[0])
    assert_same_state(engine.snapshot(ORIGIN), before)
    there = other.snapshot(ORIGIN)
    engine.read(text(SEGMENT, seed=9)[0])
    assert_same_state(other.snapshot(ORIGIN), there)
    assert engine.fork().use_memory and not Engine(model_of(), use_memory=False).fork().use_memory


@pytest.mark.parametrize("prompt", [1, 4, SEGMENT, 3 * SEGMENT + 1])
def test_generating_leaves_what_was_read_as_it_is(prompt: int) -> None:
    engine = reader(text(2 * SEGMENT + 3))
    before = engine.snapshot(ORIGIN)
    first = list(engine.generate(text(prompt)[0].tolist(), 2 * SEGMENT))
    assert len(first) == 2 * SEGMENT
    assert_same_state(engine.snapshot(ORIGIN), before)
    assert list(engine.generate(text(prompt)[0].tolist(), 2 * SEGMENT)) == first


def test_reading_while_an_answer_is_given_does_not_change_the_answer() -> None:
    engine = reader(text(2 * SEGMENT + 3))
    wanted = list(engine.generate([7, 8], 12))
    answer = engine.generate([7, 8], 12)
    got = [next(answer) for _ in range(3)]
    engine.read(text(2 * SEGMENT, seed=8)[0])
    assert got + list(answer) == wanted


def test_two_answers_at_once_do_not_meet() -> None:
    with_memory, without = reader(text(2 * SEGMENT + 3)), Engine(model_of(), use_memory=False)
    without.read(text(3, seed=5)[0])
    wanted = [list(with_memory.generate([7], 12)), list(without.generate([7], 4))]
    one, two = with_memory.generate([7], 12), without.generate([7], 4)
    mixed: tuple[list[int], list[int]] = ([], [])
    for _ in range(4):
        mixed[0].append(next(one))
        mixed[1].append(next(two))
    assert [mixed[0] + list(one), mixed[1]] == wanted
    record = injection(model_of())
    assert record is not None and record.enabled


def greedy(model: Model, view: Tensor, cache: Any, tokens: int) -> list[int]:
    answer: list[int] = []
    for _ in range(tokens):
        view = logits_of(model, view, cache)[:, -1:].argmax(-1)
        answer.append(int(view))
    return answer


def test_a_prompt_that_fits_stands_behind_the_open_tokens() -> None:
    ids = text(16 + 5)
    engine = reader(ids, segment_length=16)
    cache = engine.cache.fork()
    view = torch.cat([ids[:, 16:], torch.tensor([[9, 4]])], 1)
    assert list(engine.generate([9, 4], 9)) == greedy(engine.model, view, cache, 9)


def test_a_prompt_that_does_not_fit_closes_the_open_segment_first() -> None:
    ids = text(16 + 5)
    engine = reader(ids, segment_length=16)
    cache = engine.cache.fork()
    logits_of(engine.model, ids[:, 16:], cache)
    cache.close_segment()
    assert cache.segments == 2
    assert list(engine.generate([9, 4], 10)) == greedy(engine.model, torch.tensor([[9, 4]]), cache, 10)


def test_a_prompt_longer_than_a_segment_is_read_whole() -> None:
    model, prompt = model_of(), text(3 * SEGMENT + 2)
    wanted = greedy(model, prompt, new_cache(model), 10)
    assert list(reader().generate(prompt[0].tolist(), 10)) == wanted


def test_the_open_segment_can_be_continued_without_a_prompt() -> None:
    ids = text(3)
    assert list(reader(ids).generate([], 4)) == greedy(model_of(), ids, new_cache(model_of()), 4)


def test_nothing_to_continue_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to continue"):
        list(reader().generate([], 3))
    # Closed segments alone give no token to go on from.
    with pytest.raises(ValueError, match="nothing to continue"):
        list(reader(text(SEGMENT)).generate([], 3))


def test_an_answer_that_does_not_fit_still_continues_the_open_tokens() -> None:
    # Without a prompt the open tokens are what is continued: closing their segment would leave nothing.
    ids = text(SEGMENT + 3)
    answer = list(reader(ids).generate([], 2 * SEGMENT))
    _, cache = stream(model_of(), ids[:, :SEGMENT], [])
    assert answer == greedy(model_of(), ids[:, SEGMENT:], cache, 2 * SEGMENT)


def test_without_memory_it_is_the_base_alone_on_the_open_segment() -> None:
    base, ids = base_model(), text(2 * 16 + 5)
    engine = Engine(model_of(segment_length=16), use_memory=False)
    engine.read(ids[0])
    assert (engine.tokens_read, engine.cache.segments) == (37, 2)
    assert memory_tensors(engine.cache) == []
    view = torch.cat([ids[:, 32:], torch.tensor([[9, 4]])], 1)
    wanted = base.generate(view, max_new_tokens=9, do_sample=False)[0, 7:].tolist()
    assert list(engine.generate([9, 4], 9)) == wanted
    # What does not fit leaves the prompt alone.
    wanted = base.generate(torch.tensor([[9, 4]]), max_new_tokens=12, do_sample=False)[0, 2:].tolist()
    assert list(engine.generate([9, 4], 12)) == wanted


def test_stop_ids_end_the_answer_and_are_not_given() -> None:
    engine = reader(text(2 * SEGMENT))
    answer = list(engine.generate([3], 20))
    stop = answer[7]
    first = answer.index(stop)
    assert list(engine.generate([3], 20, stop={stop})) == answer[:first]
    assert list(engine.generate([3], 20, stop=set(range(61)))) == []


def test_no_more_than_the_asked_tokens_are_given() -> None:
    engine = reader(text(5))
    assert list(engine.generate([3], 0)) == []
    assert list(engine.generate([3], -1)) == []
    answer = list(engine.generate([3], 2))
    assert len(answer) == 2


class Only(LogitsProcessor):
    """Allows one id and notes the history that it is shown."""

    def __init__(self, token: int) -> None:
        self.token, self.histories = token, list[list[int]]()

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.histories.append(input_ids[0].tolist())
        only = torch.full_like(scores, -torch.inf)
        only[:, self.token] = 0
        return only


def test_processors_see_the_prompt_and_the_answer_and_decide() -> None:
    only = Only(42)
    engine = reader(text(SEGMENT + 2))
    assert list(engine.generate([3, 4], 3, processors=LogitsProcessorList([only]))) == [42] * 3
    assert only.histories == [[3, 4], [3, 4, 42], [3, 4, 42, 42]]


def test_a_chooser_picks_from_the_logits() -> None:
    seen = []

    def choose(logits: Tensor) -> int:
        seen.append(tuple(logits.shape))
        return int(logits.argmin())

    engine = reader(text(SEGMENT))
    answer = list(engine.generate([3], 5, choose=choose))
    assert seen == [(61,)] * 5
    assert answer[0] == int(logits_of(engine.model, torch.tensor([[3]]), engine.cache.fork())[0, -1].argmin())


def test_no_gradient_is_kept() -> None:
    engine = reader(text(2 * SEGMENT + 3))
    assert not any(tensor.requires_grad for tensor in memory_tensors(engine.cache))
    list(engine.generate([3], 3))
    assert all(not tensor.requires_grad for tensor in engine.snapshot(ORIGIN).tensors.values())


def test_a_plain_model_is_refused() -> None:
    with pytest.raises(ValueError, match="memory path"):
        Engine(base_model())


@pytest.mark.parametrize("tokens", [SEGMENT - 1, SEGMENT, 3 * SEGMENT + 2])
def test_the_first_segment_can_be_read_again_with_what_it_wrote_in_memory(tokens: int) -> None:
    model, ids = memory_model(reread_first=True, ngrams=(2, 3)), text(tokens)[0].tolist()
    engine, split, stepped = (Engine(model) for _ in range(3))
    engine.read(ids)
    whole, cache = ids[: tokens // SEGMENT * SEGMENT], new_cache(memory_model(ngrams=(2, 3)))
    with torch.inference_mode():
        if whole:
            once = memory_model(ngrams=(2, 3))
            once(input_ids=torch.tensor([whole[:SEGMENT]]), past_key_values=cache)
            # Nothing stands before a text's beginning, the second time neither.
            cache.local.behind, cache.tokens, cache.segments = None, 0, 0
            once(input_ids=torch.tensor([whole]), past_key_values=cache)
    assert (engine.tokens_read, engine.cache.segments) == (tokens, tokens // SEGMENT)
    expected = Engine(model)
    expected.cache, expected.open_ids = cache, engine.open_ids
    found = {name: tensor for name, tensor in engine.snapshot(ORIGIN).tensors.items()}
    for name, tensor in expected.snapshot(ORIGIN).tensors.items():
        torch.testing.assert_close(found[name], tensor)
    # However it was read; and a segment's own logits are told before it is read again.
    for start in range(0, tokens, 3):
        split.read(ids[start : start + 3])
    assert_same_state(split.snapshot(ORIGIN), engine.snapshot(ORIGIN))
    plain = Engine(memory_model(ngrams=(2, 3)))
    for start in range(0, len(whole), SEGMENT):
        segment = torch.tensor([whole[start : start + SEGMENT]])
        told, base = stepped.step(segment), plain.step(segment)
        assert torch.equal(told, base) is (start == 0)
    for name, tensor in stepped.snapshot(ORIGIN).tensors.items():
        assert name == OPEN_IDS or torch.equal(tensor, found[name])


@pytest.mark.parametrize("pieces", [(SEGMENT + 3,), (1,) * (SEGMENT + 1), (SEGMENT - 1, 2)])
def test_a_model_that_is_called_directly_reads_the_first_segment_again_too(pieces: tuple[int, ...]) -> None:
    model, ids = memory_model(reread_first=True, ngrams=(2, 3)), text(sum(pieces))
    engine, cache = Engine(model), new_cache(model)
    engine.read(ids[0])
    with torch.inference_mode():
        for piece in torch.split(ids, list(pieces), 1):
            model(input_ids=piece, past_key_values=cache)
    assert (cache.tokens, cache.segments) == (sum(pieces), 1)
    for layer, other in zip(cache.memories.values(), engine.cache.memories.values(), strict=True):
        assert layer.memory is not None and other.memory is not None
        torch.testing.assert_close(layer.memory.matrix, other.memory.matrix)


def test_a_first_segment_that_is_not_full_is_read_again_when_it_closes() -> None:
    engine, twice = Engine(memory_model(reread_first=True)), Engine(memory_model())
    ids = text(SEGMENT - 2)[0].tolist()
    for each in (engine, twice):
        each.read(ids)
        each.close()
    assert (engine.tokens_read, engine.cache.segments) == (SEGMENT - 2, 1)
    twice.read(ids)
    twice.close()
    for layer, other in zip(engine.cache.memories.values(), twice.cache.memories.values(), strict=True):
        assert layer.memory is not None and other.memory is not None
        assert torch.equal(layer.memory.matrix, other.memory.matrix)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("before", [0, 3, 2 * SEGMENT + 5])
@pytest.mark.parametrize("reread", [False, True])
def test_documents_read_side_by_side_are_as_if_each_was_read_alone(rule: str, before: int, reread: bool) -> None:
    beside: dict[str, Any] = (
        {"ngrams": (2, 3), "key_state_layers": (0, 1), "value_state_layers": (0, 1)} if rule == "deltanet" else {}
    )
    engine = Engine(memory_model(update_rule=rule, reread_first=reread, **beside))
    if before:
        engine.read(text(before)[0])
    kept = engine.snapshot(ORIGIN)
    documents = [text(tokens, seed=tokens)[0] for tokens in (4 * SEGMENT + 1, 3 * SEGMENT, 6 * SEGMENT + 7)]
    for document, found in zip(documents, engine.read_each(documents), strict=True):
        alone = engine.fork()
        alone.read(document)
        one, other = found.snapshot(ORIGIN), alone.snapshot(ORIGIN)
        assert (one.tokens, one.segments) == (other.tokens, other.segments)
        assert one.tensors.keys() == other.tensors.keys()
        for name, tensor in one.tensors.items():
            torch.testing.assert_close(tensor, other.tensors[name], msg=name)
    assert_same_state(engine.snapshot(ORIGIN), kept)


def test_side_by_side_without_memory_each_keeps_its_open_segment() -> None:
    engine, documents = Engine(memory_model(), use_memory=False), [text(SEGMENT + 3)[0], text(2, seed=1)[0]]
    one, other = engine.read_each(documents)
    assert (one.open_ids, other.open_ids) == (documents[0][SEGMENT:].tolist(), documents[1].tolist())
    assert (one.tokens_read, other.tokens_read, engine.tokens_read) == (SEGMENT + 3, 2, 0)
