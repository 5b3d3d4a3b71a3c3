"""Loss on running text, against the base and the engine asked in other ways."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from infini_attention.evaluate.baselines.sliding import SlidingCache
from infini_attention.evaluate.perplexity import cache_bytes, losses, streamed
from infini_attention.memory.inject import new_cache
from infini_attention.model.loading import Loaded
from torch import Tensor

from models import SEGMENT, VOCABULARY, tiny_loaded


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return tiny_loaded()


def text(tokens: int, seed: int) -> Tensor:
    return torch.randint(VOCABULARY, (tokens,), generator=torch.Generator().manual_seed(seed))


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
