"""InfiniConfig: validation, round trips, digest."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.memory.config import InfiniConfig

from models import GATES, RULES

configs = st.builds(
    InfiniConfig,
    segment_length=st.integers(1, 1 << 20),
    update_rule=st.sampled_from(RULES),
    gate=st.sampled_from(GATES),
    layers=st.none() | st.sets(st.integers(0, 80), min_size=1, max_size=5).map(lambda chosen: tuple(sorted(chosen))),
    rank=st.integers(1, 256),
    key_shift=st.booleans(),
    gate_bias=st.floats(-20, 20, allow_subnormal=False),
    decay_tokens=st.lists(
        st.floats(0, exclude_min=True, allow_nan=False, allow_subnormal=False), min_size=1, max_size=4
    ).map(tuple),
    reread_first=st.booleans(),
)

OTHERS: dict[str, Any] = {
    "segment_length": 512,
    "update_rule": "linear",
    "gate": "convex",
    "layers": (3, 4),
    "rank": 8,
    "key_shift": False,
    "ngrams": (2, 3),
    "key_state_layers": (1, 3),
    "value_state_layers": (1, 3),
    "gate_bias": -2.0,
    "decay_tokens": (10.0,),
    "reread_first": True,
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segment_length": 0}, "segment_length"),
        ({"update_rule": "sum"}, "update_rule"),
        ({"gate": "none"}, "gate"),
        ({"rank": 0}, "rank"),
        ({"ngrams": (2, 0)}, "ngrams"),
        ({"ngrams": (2,), "update_rule": "linear"}, "ngrams"),
        ({"key_state_layers": (2, 1)}, "key_state_layers"),
        ({"key_state_layers": (-1,)}, "key_state_layers"),
        ({"key_state_layers": (2,), "update_rule": "delta"}, "key_state_layers"),
        ({"value_state_layers": (2, 1)}, "value_state_layers"),
        ({"value_state_layers": (2,), "update_rule": "linear"}, "value_state_layers"),
        ({"layers": ()}, "layers"),
        ({"layers": (2, 1)}, "layers"),
        ({"layers": (1, 1)}, "layers"),
        ({"layers": (-1, 0)}, "layers"),
        ({"decay_tokens": ()}, "decay_tokens"),
        ({"decay_tokens": (0.0,)}, "decay_tokens"),
        ({"decay_tokens": (-5.0, 3.0)}, "decay_tokens"),
        ({"decay_tokens": (float("nan"),)}, "decay_tokens"),
    ],
)
def test_values_out_of_range_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InfiniConfig(**changes)


@given(configs)
def test_a_configuration_comes_back_from_its_dictionary_json_and_toml(config: InfiniConfig) -> None:
    values = config.to_dict()
    assert InfiniConfig.from_dict(values) == config
    assert InfiniConfig.from_dict(json.loads(json.dumps(values))) == config
    # TOML has no null: what is not there has its default.
    plain = {key: value for key, value in values.items() if value is not None}
    back = InfiniConfig.from_dict(tomllib.loads(tomli_w.dumps(plain)))
    assert back == config and back.digest() == config.digest() and hash(back) == hash(config)


def test_unknown_keys_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="colour, size"):
        InfiniConfig.from_dict({"size": 1, "rank": 4, "colour": 2})


def test_the_digest_changes_with_every_field() -> None:
    assert set(OTHERS) == {field.name for field in dataclasses.fields(InfiniConfig)}
    digests = {InfiniConfig().digest()}
    digests |= {dataclasses.replace(InfiniConfig(), **{name: value}).digest() for name, value in OTHERS.items()}
    assert len(digests) == len(OTHERS) + 1
    assert InfiniConfig().digest() == InfiniConfig().digest()


def test_the_digest_does_not_depend_on_how_numbers_were_written() -> None:
    written = InfiniConfig.from_dict({"decay_tokens": [1500, 20_000, float("inf")], "gate_bias": -3})
    assert written == InfiniConfig()
    assert written.digest() == InfiniConfig().digest()
