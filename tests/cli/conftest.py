"""A tiny model with random weights, and a way to run the command line in this process."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import SENTENCES, TEMPLATE, Infini, Outcome, assert_documented, write_recipe


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with a byte-level tokenizer and a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    fast: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token="<|endoftext|>"
    )
    fast.add_special_tokens({"additional_special_tokens": special[1:]})
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        eos_token_id=fast.eos_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of the tiny model."""
    return str(write_recipe(tmp_path_factory.mktemp("tiny"), base_folder))


@pytest.fixture
def infini(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str) -> Infini:
    """Runs the command line on the tiny model, away from the person's own settings and caches.

    Whatever JSON it prints, in any test, has to follow its schema.
    """
    from infini_cli.app import main

    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("INFINI_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("INFINI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("INFINI_DEVICE", "cpu")
    monkeypatch.setenv("INFINI_DTYPE", "fp32")
    monkeypatch.setenv("INFINI_MODEL", model)
    monkeypatch.delenv("INFINI_PDF_PASSWORD", raising=False)

    def run(*arguments: object, stdin: bytes | None = None) -> Outcome:
        stream = io.TextIOWrapper(io.BytesIO(stdin or b""), encoding="utf-8")
        stream.isatty = lambda: stdin is None  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", stream)
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        streams = capfd.readouterr()
        assert_documented(streams.out)
        return Outcome(code, streams.out, streams.err)

    return run
