"""Tensor parallelism over two processes gives what one process gives, and the same state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = """
import json, os, sys
import torch
from transformers import AutoModelForCausalLM
from infini_attention import Engine, InfiniConfig, Origin, inject
from infini_attention.inject import memory_parameters

plan = {"tp_plan": "auto"} if "RANK" in os.environ else {}
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], **plan).eval()
inject(model, InfiniConfig(segment_length=8, rank=4, ngrams=(2, 3), registers=(1,), value_registers=(0, 1)))
noise = torch.Generator().manual_seed(1)
with torch.no_grad():
    for parameter in memory_parameters(model).values():
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=noise))
    ids = torch.arange(20)[None]
    logits = model(ids).logits
engine = Engine(model)
engine.read(ids[0])
state = engine.snapshot(Origin("m", "b", "a", "c"))
engine.restore(state, state.origin)
answer = list(engine.generate([3, 4], 6))
if os.environ.get("RANK", "0") == "0":
    tensors = {name: tensor.flatten().tolist() for name, tensor in state.tensors.items()}
    with open(sys.argv[2], "w") as out:
        json.dump({"logits": logits.flatten().tolist(), "tensors": tensors, "answer": answer}, out)
if "RANK" in os.environ:
    # A process that ends while the other still talks to it may be aborted.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""


@pytest.fixture
def base_of_two_heads(tmp_path: Path) -> Path:
    """A Llama whose KV heads two processes can share out."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=64,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_two_processes_give_what_one_gives(base_of_two_heads: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    outcomes: list[dict[str, Any]] = []
    for launcher in ([], ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]):
        out = tmp_path / f"{len(outcomes)}.json"
        done = subprocess.run(
            [sys.executable, *launcher, str(tmp_path / "script.py"), str(base_of_two_heads), str(out)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "models"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outcomes.append(json.loads(out.read_text()))
    one, two = outcomes
    torch.testing.assert_close(torch.tensor(two["logits"]), torch.tensor(one["logits"]), rtol=1e-4, atol=1e-4)
    assert two["tensors"].keys() == one["tensors"].keys()
    for name, values in one["tensors"].items():
        torch.testing.assert_close(torch.tensor(two["tensors"][name]), torch.tensor(values), rtol=1e-4, atol=1e-4)
    assert two["answer"] == one["answer"]
