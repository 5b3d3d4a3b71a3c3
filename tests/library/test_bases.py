"""Bases that are not plain: quantised projections, placed by accelerate, offloaded."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from accelerate import cpu_offload
from infini_attention.memory.engine import Engine
from infini_attention.memory.inject import eject, inject, new_cache
from infini_attention.memory.parameters import memory_parameters
from infini_attention.model.weights import fingerprint_base
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from models import (
    SEGMENT,
    Model,
    base_model,
    decoder_of,
    logits_of,
    small_config,
    stir,
    text,
)


class Int8Linear(nn.Module):
    """As quantisers' modules are: integers in a buffer, a forward of its own, no ``weight``."""

    scale: Tensor
    packed: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        scale = linear.weight.detach().abs().amax(1, keepdim=True) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("packed", (linear.weight.detach() / scale).round().to(torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.packed.to(x.dtype) * self.scale.to(x.dtype)).T


def quantise(model: Model) -> Model:
    for layer in decoder_of(model).layers:
        for part in (layer.self_attn, layer.mlp):
            for name, child in list(part.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(part, name, Int8Linear(child))
    return model


def assert_works_like(model: Model, base: Model) -> None:
    """Puts a path into ``model`` and checks what matters against ``base``."""
    ids = text(3 * SEGMENT + 2)
    inject(model, small_config())
    stir(model)
    wanted = logits_of(base, ids[:, :SEGMENT])
    logits = logits_of(model, ids)
    assert torch.equal(logits[:, :SEGMENT], wanted)
    assert not torch.allclose(
        logits[:, SEGMENT : 2 * SEGMENT], logits_of(base, ids[:, SEGMENT : 2 * SEGMENT]), atol=1e-3
    )
    answer = model.generate(ids, max_new_tokens=SEGMENT, do_sample=False, past_key_values=new_cache(model))
    assert list(Engine(model).generate(ids[0].tolist(), SEGMENT)) == answer[0, ids.shape[1] :].tolist()
    eject(model)
    assert torch.equal(logits_of(model, ids), logits_of(base, ids))


def test_quantised_projections_without_a_weight_carry_a_memory() -> None:
    assert_works_like(quantise(base_model()), quantise(base_model()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dynamic_quantisation_of_torch_carries_a_memory() -> None:
    if torch.backends.quantized.engine == "none" or not hasattr(torch.ao, "quantization"):
        pytest.skip("this torch has no quantised kernels")
    base = base_model()
    # The head stays as it is: these kernels take their scale from all tokens of a call, however many those are.
    cast(Any, torch.ao.quantization).quantize_dynamic(decoder_of(base), {nn.Linear}, torch.qint8, inplace=True)
    assert not isinstance(decoder_of(base).layers[0].self_attn.q_proj, nn.Linear)
    assert_works_like(copy.deepcopy(base), base)


@pytest.mark.parametrize("device_map", ["cpu", "auto"])
def test_a_base_placed_by_accelerate_carries_a_memory(device_map: str, tmp_path: Path) -> None:
    base_model().save_pretrained(tmp_path)
    placed: Model = AutoModelForCausalLM.from_pretrained(tmp_path, device_map=device_map)
    placed.eval()
    if placed.device.type != "cpu":
        pytest.skip("auto chose a GPU, whose bits are others")
    assert_works_like(placed, base_model())


def test_an_offloaded_base_carries_a_memory_where_it_computes() -> None:
    base = base_model()
    model = copy.deepcopy(base)
    cpu_offload(model, execution_device=torch.device("cpu"))
    assert decoder_of(model).layers[0].self_attn.q_proj.weight.device.type == "meta"
    ids = text(3 * SEGMENT)
    inject(model, small_config())
    assert {parameter.device.type for parameter in memory_parameters(model).values()} == {"cpu"}
    stir(model)
    assert torch.equal(logits_of(model, ids)[:, :SEGMENT], logits_of(base, ids[:, :SEGMENT]))


def test_the_fingerprint_tells_bases_apart_but_not_their_dtypes() -> None:
    base = base_model()
    wanted = fingerprint_base(base)
    assert fingerprint_base(base_model()) == wanted
    assert fingerprint_base(base_model(dtype=torch.bfloat16)) == wanted
    assert fingerprint_base(base_model(seed=1)) != wanted
    assert fingerprint_base(base_model("mistral")) == wanted, "the same weights under another name"
    assert fingerprint_base(base_model("qwen3")) != wanted
