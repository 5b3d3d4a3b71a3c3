"""Loss on running text, against the base and the engine asked in other ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import pytest
import torch
from infini_attention.evaluate.baselines.sliding import SlidingCache
from infini_attention.evaluate.perplexity import cache_bytes, last_segment, losses, streamed
from infini_attention.memory.config import InfiniConfig
from infini_attention.memory.inject import inject, injection, memory_off, new_cache
from infini_attention.model.loading import Loaded
from torch import Tensor

from models import SEGMENT, VOCABULARY, base_model, small_config


class Words:
    """A tokenizer whose every token is a word."""

    def decode(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))


@dataclasses.dataclass
class Tiny:
    """As much of a loaded model as is needed."""

    model: Any
    memory = True
    tokenizer: Words = dataclasses.field(default_factory=Words)
    placement: torch.nn.Parameter | Any = dataclasses.field(
        default_factory=lambda: type("Placement", (), {"device": torch.device("cpu")})
    )

    @property
    def config(self) -> InfiniConfig:
        record = injection(self.model)
        assert record is not None
        return record.config

    engine = Loaded.engine


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    model = base_model()
    inject(model, small_config())
    return cast(Loaded, Tiny(model))


def text(tokens: int, seed: int) -> Tensor:
    return torch.randint(VOCABULARY, (tokens,), generator=torch.Generator().manual_seed(seed))


def mean_loss(logits: Tensor, labels: Tensor) -> float:
    return float(torch.nn.functional.cross_entropy(logits.float(), labels))


def test_the_last_segment_in_four_ways(loaded: Loaded) -> None:
    windows = [text(3 * SEGMENT + 1, seed) for seed in range(2)]
    score = last_segment(loaded, windows, 3, SEGMENT)
    alone: list[float] = []
    own: list[float] = []
    other: list[float] = []
    full: list[float] = []
    for number, ids in enumerate(windows):
        last, labels = ids[None, 2 * SEGMENT : -1], ids[2 * SEGMENT + 1 :]
        with torch.no_grad(), memory_off(loaded.model):
            alone.append(mean_loss(loaded.model(input_ids=last).logits[0], labels))
            full.append(mean_loss(loaded.model(input_ids=ids[None, :-1]).logits[0, 2 * SEGMENT :], labels))
        for memory, found in ((number, own), (1 - number, other)):
            cache = new_cache(loaded.model)
            with torch.no_grad():
                loaded.model(input_ids=windows[memory][None, : 2 * SEGMENT], past_key_values=cache)
                found.append(mean_loss(loaded.model(input_ids=last, past_key_values=cache).logits[0], labels))
    expected = {"alone": alone, "own": own, "other": other, "all": full}
    assert [one.labels for one in score] == [{"behind": name} for name in expected]
    for one, values in zip(score, expected.values(), strict=True):
        assert one.scores == pytest.approx(values, abs=1e-5), one.labels
    assert len({round(one.mean, 6) for one in score}) == 4


@pytest.mark.parametrize("tokens", [2, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 4])
def test_every_token_is_scored_once_by_what_stands_before_it(loaded: Loaded, tokens: int) -> None:
    ids = text(tokens, 5)
    found = losses(loaded.engine(), loaded.model, ids, SEGMENT)
    with torch.no_grad():
        logits = loaded.model(input_ids=ids[None, :-1], past_key_values=new_cache(loaded.model)).logits[0]
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none"))


def test_positions_add_up_to_the_whole_and_an_interrupted_run_goes_on(loaded: Loaded) -> None:
    texts = [text(5 * SEGMENT + 1, seed) for seed in range(3)]
    score = streamed(loaded, loaded.engine(), texts)
    assert [part.labels for part in score.by_position] == [
        {"from": start, "to": end}
        for start, end in ((0, SEGMENT), (SEGMENT, 2 * SEGMENT), (2 * SEGMENT, 4 * SEGMENT), (4 * SEGMENT, 5 * SEGMENT))
    ]
    whole = [losses(loaded.engine(), loaded.model, ids, SEGMENT) for ids in texts]
    assert score.nats == pytest.approx(float(torch.cat(whole).sum()), rel=1e-6)
    assert score.by_position[2].scores[1] == pytest.approx(float(whole[1][2 * SEGMENT : 4 * SEGMENT].mean()), rel=1e-6)
    assert (score.tokens, score.words) == (15 * SEGMENT, 15 * SEGMENT)
    assert score.state_bytes == loaded.engine().state_bytes + 2 * 2 * 8 * 8 * 4

    notes: dict[tuple[int, int], Mapping[str, float]] = {}

    class Record:
        def get(self, series: int, trial: int) -> Mapping[str, float] | None:
            return notes.get((series, trial))

        def put(self, series: int, trial: int, scores: Mapping[str, float]) -> None:
            notes[series, trial] = scores

    assert streamed(loaded, loaded.engine(), texts, record=Record()) == score
    # Every figure of the second text is known: it is not read again.
    texts[1] = torch.zeros_like(texts[1])
    for key in [key for key in notes if key[1] != 1]:
        del notes[key]
    assert streamed(loaded, loaded.engine(), texts, record=Record()) == score


def test_plain_attention_keeps_what_a_cache_without_bounds_does(loaded: Loaded) -> None:
    reader = SlidingCache(loaded.model, SEGMENT, 1000)
    reader.read(text(3 * SEGMENT, 0))
    assert cache_bytes(loaded.model, 3 * SEGMENT) == reader.state_bytes
