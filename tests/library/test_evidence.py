"""Log-likelihoods of views: compared with one forward a view."""

from __future__ import annotations

import pytest
import torch
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import new_cache
from infini_attention.qa.evidence import log_likelihoods

from models import RULES, SEGMENT, Model, ids, memory_model


def model_of(rule: str) -> Model:
    return memory_model(dtype=torch.float32, update_rule=rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("use_memory", [True, False])
@pytest.mark.parametrize("waiting", [0, 3])
def test_each_view_is_scored_as_if_it_were_alone(rule: str, use_memory: bool, waiting: int) -> None:
    model = model_of(rule)
    read = ids(2 * SEGMENT + waiting, 1)
    engine = Engine(model, use_memory=use_memory)
    engine.read(read)
    asked = ids(2, 9)
    views = [ids(count, 20 + count) + asked for count in (4, 1, 6, 2, 3)]
    found = log_likelihoods(engine, views, 2, batch=2)
    for view, score in zip(views, found, strict=True):
        cache = new_cache(model)
        with torch.no_grad():
            if use_memory:
                model(input_ids=torch.tensor([read]), past_key_values=cache)
                cache.close_segment()
            logits = model(input_ids=torch.tensor([view]), past_key_values=cache).logits[0].log_softmax(-1)
        expected = sum(float(logits[place - 1, view[place]]) for place in (len(view) - 2, len(view) - 1))
        assert float(score) == pytest.approx(expected, abs=1e-4)
    # What was read is as it was, and is scored in the same way again.
    assert engine.tokens_read == len(read) and len(engine.open_ids) == waiting
    torch.testing.assert_close(log_likelihoods(engine, views, 2), found)


def test_a_view_has_something_before_what_counts_and_fits_into_a_segment() -> None:
    engine = Engine(model_of("deltanet"))
    for view in (ids(2, 0), ids(SEGMENT + 1, 0)):
        with pytest.raises(ValueError, match="at most"):
            log_likelihoods(engine, [view], 2)
