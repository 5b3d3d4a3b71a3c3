"""A memory path saved by itself, or with its model, and loaded again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from infini_attention import load_adapter, memory_parameters, save_adapter
from infini_attention.errors import InfiniError, ModelUnavailable, UseError
from infini_attention.memory.inject import eject, inject, injection, new_cache
from torch import nn
from transformers import AutoModelForCausalLM

from models import SEGMENT, Model, base_model, logits_of, memory_model, small_config, stir, text

IDS = text(2 * SEGMENT + 3)
SEEN: dict[str, Any] = {"ngrams": (2,), "key_state_layers": (1,), "decay_tokens": (20.0, float("inf"))}


def trained(**changes: Any) -> Model:
    return memory_model(dtype=torch.float32, **{**SEEN, **changes})


def reloaded(folder: Path) -> tuple[Model, Any]:
    model, info = cast(Any, AutoModelForCausalLM).from_pretrained(folder, output_loading_info=True)
    return model.eval(), info


def test_a_folder_gives_the_memory_to_the_same_base(tmp_path: Path) -> None:
    model = trained()
    wanted = logits_of(model, IDS)
    save_adapter(model, tmp_path / "new" / "memory")
    assert {path.name for path in (tmp_path / "new" / "memory").iterdir()} == {
        "infini_config.json",
        "infini_model.safetensors",
    }
    json.loads((tmp_path / "new" / "memory" / "infini_config.json").read_text(), parse_constant=pytest.fail)
    for other in (base_model(), trained()):
        stir(other, seed=5) if injection(other) else None
        load_adapter(other, str(tmp_path / "new" / "memory"))
        assert torch.equal(logits_of(other, IDS), wanted)
        assert set(memory_parameters(other)) == set(memory_parameters(model))


def test_a_model_that_is_saved_keeps_its_memory_and_names_it(tmp_path: Path) -> None:
    model = trained()
    wanted = logits_of(model, IDS)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    other, info = reloaded(tmp_path)
    # transformers alone gives the base, and tells what it left out; nothing goes on without a word.
    assert torch.equal(logits_of(other, IDS), logits_of(base_model(), IDS))
    assert any(".infini." in name for name in info["unexpected_keys"])
    with pytest.raises(UseError) as raised:
        new_cache(other)
    assert "load_adapter" in raised.value.hint
    load_adapter(other, tmp_path)
    assert torch.equal(logits_of(other, IDS), wanted)
    eject(other)
    other.save_pretrained(tmp_path / "base")
    _, info = reloaded(tmp_path / "base")
    assert not info["unexpected_keys"] and "infini" not in (tmp_path / "base" / "config.json").read_text()


def test_a_memory_beside_its_base(tmp_path: Path) -> None:
    model = trained()
    wanted = logits_of(model, IDS)
    save_adapter(model, tmp_path)
    eject(model)
    model.save_pretrained(tmp_path)
    other, info = reloaded(tmp_path)
    assert not info["unexpected_keys"]
    load_adapter(other, tmp_path)
    assert torch.equal(logits_of(other, IDS), wanted)


@pytest.mark.parametrize(
    "base", [{"family": "mistral"}, {"hidden_size": 48}, {"layers": 3}, {"num_key_value_heads": 4}], ids=str
)
def test_another_base_is_refused_and_left_as_it_was(base: dict[str, Any], tmp_path: Path) -> None:
    save_adapter(trained(), tmp_path)
    other = base_model(**base)
    wanted = logits_of(other, IDS)
    with pytest.raises(UseError, match="memory"):
        load_adapter(other, tmp_path)
    assert injection(other) is None and torch.equal(logits_of(other, IDS), wanted)


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    save_adapter(trained(), tmp_path)
    other = base_model()
    inject(other, small_config())
    before = nn.utils.parameters_to_vector(memory_parameters(other).values())
    with pytest.raises(UseError, match="configuration"):
        load_adapter(other, tmp_path)
    assert torch.equal(nn.utils.parameters_to_vector(memory_parameters(other).values()), before)


def test_what_is_no_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UseError, match="no memory path"):
        save_adapter(base_model(), tmp_path)
    base_model().save_pretrained(tmp_path / "base")
    save_adapter(trained(), tmp_path / "cut")
    (tmp_path / "cut" / "infini_model.safetensors").write_bytes(b"short")
    save_adapter(trained(), tmp_path / "later")
    config = tmp_path / "later" / "infini_config.json"
    config.write_text(config.read_text().replace('"version": 1', '"version": 2'))
    for folder in ("none", "base", "cut", "later"):
        with pytest.raises(ModelUnavailable) as raised:
            load_adapter(base_model(), tmp_path / folder)
        assert isinstance(raised.value, InfiniError) and raised.value.hint
