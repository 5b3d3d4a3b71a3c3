"""GGUF to safetensors: the same numbers, configuration and tokens as transformers' own, slower reader gives."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import quantize
from infini_attention.errors import ModelUnavailable
from infini_attention.model.gguf_weights import convert
from transformers import AutoModelForCausalLM, AutoTokenizer

HIDDEN, HEADS, KV_HEADS, INNER, LAYERS = 64, 4, 2, 96, 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def vocabulary() -> tuple[list[str], list[str]]:
    """Tokens of a byte-level tokenizer, the special ones last, and its merges."""
    from tokenizers import pre_tokenizers

    merges = ["t h", "th e", "Ġ the"]
    return [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "the", "Ġthe", *SPECIAL], merges


def write_gguf(path: Path, architecture: str, *, tied: bool = False, left_out: str | None = None) -> Path:
    """A tiny model with random weights, as llama.cpp keeps them: matrices in Q8_0 and Q4_0, vectors in float32."""
    tokens, merges = vocabulary()
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens) - 3)
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}")
    rng = np.random.default_rng(3)
    size = HIDDEN // HEADS
    rows = {"attn_q": HEADS * size, "attn_k": KV_HEADS * size, "attn_v": KV_HEADS * size}
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(tokens), HIDDEN), "output_norm.weight": (HIDDEN,)}
    if not tied:
        shapes["output.weight"] = (len(tokens), HIDDEN)
    for layer in range(LAYERS):
        block = {
            **{f"{name}.weight": (count, HIDDEN) for name, count in rows.items()},
            "attn_output.weight": (HIDDEN, HIDDEN),
            "attn_norm.weight": (HIDDEN,),
            "ffn_norm.weight": (HIDDEN,),
            "ffn_gate.weight": (INNER, HIDDEN),
            "ffn_up.weight": (INNER, HIDDEN),
            "ffn_down.weight": (HIDDEN, INNER),
        }
        if architecture == "qwen2":
            block |= {f"{name}.bias": (count,) for name, count in rows.items()}
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    for number, (name, shape) in enumerate(shapes.items()):
        values = rng.standard_normal(shape).astype(np.float32) / 8
        if name == left_out:
            continue
        if len(shape) == 1:
            writer.add_tensor(name, values)
        else:
            kind = (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0)[number % 2]
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("architecture", "tied"), [("llama", True), ("llama", False), ("qwen2", True), ("qwen2", False)]
)
def test_it_is_what_transformers_reads(tmp_path: Path, architecture: str, tied: bool) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", architecture, tied=tied)
    wanted: Any = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name, dtype=torch.float32)
    tokens = AutoTokenizer.from_pretrained(tmp_path, gguf_file=file.name)
    convert(file, tmp_path / "model")
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16 and model.config.tie_word_embeddings is tied
    read = {name: tensor.to(torch.bfloat16) for name, tensor in wanted.state_dict().items()}
    assert read.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, read[name]) for name, tensor in model.state_dict().items())
    ours = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "<|im_start|>the other thing, naïve 語<|im_end|>"
    assert ours(text)["input_ids"] == tokens(text)["input_ids"]
    assert ours.chat_template == tokens.chat_template
    # What was put in its way for speed is out of the way again.
    assert isinstance(gguf.GGUFReader, type)


def test_a_disk_that_takes_no_more_is_an_error_of_the_disk(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", "qwen2")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal that comes with it; what is written fails as it does on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError):
            convert(file, tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_no_such_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"GGUF" + b"\xff" * 200)
    with pytest.raises(ModelUnavailable):
        convert(tmp_path / "no.gguf", tmp_path / "model")
    file = write_gguf(tmp_path / "lacking.gguf", "llama", left_out="blk.1.ffn_up.weight")
    with pytest.raises(ModelUnavailable, match="up_proj"):
        convert(file, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert isinstance(gguf.GGUFReader, type)
