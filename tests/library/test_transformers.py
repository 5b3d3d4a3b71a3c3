"""What people do with transformers' own tools: pipelines, streams and its Trainer. The plain base is the control."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from infini_attention.memory.inject import inject
from infini_attention.memory.parameters import memory_parameters
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedTokenizerFast, TextIteratorStreamer, Trainer, TrainingArguments, pipeline

from models import SEGMENT, VOCABULARY, Model, base_model, memory_model, small_config, stir, text

PROMPT = " ".join(f"w{number}" for number in text(2 * SEGMENT + 3)[0].tolist())
GREEDY: dict[str, Any] = {"max_new_tokens": SEGMENT + 2, "do_sample": False}


def tokenizer() -> Any:
    words = {"[PAD]": 0, **{f"w{number}": number for number in range(1, VOCABULARY)}}
    fast: Any = Tokenizer(WordLevel(words, unk_token="[PAD]"))
    fast.pre_tokenizer = Whitespace()
    made: Any = PreTrainedTokenizerFast
    return made(tokenizer_object=fast, pad_token="[PAD]")


def models() -> list[Model]:
    """The base, one whose memory stays empty, and one whose memory does something."""
    unused = base_model(dtype=torch.float64)
    inject(unused, small_config(segment_length=64))
    return [base_model(dtype=torch.float64), unused, memory_model()]


def wanted(model: Model) -> str:
    ids = tokenizer()(PROMPT, return_tensors="pt").input_ids
    return str(tokenizer().decode(model.generate(ids, **GREEDY)[0, ids.shape[1] :]))


def test_a_pipeline_gives_what_generate_gives() -> None:
    found = []
    for model in models():
        writes = pipeline("text-generation", model=model, tokenizer=tokenizer())
        found.append(writes(PROMPT, return_full_text=False, **GREEDY)[0]["generated_text"])
        assert found[-1].split() == wanted(model).split()
    assert found[0] == found[1] != found[2]


def test_a_streamer_gives_what_generate_gives() -> None:
    found = []
    for model in models():
        streamer = TextIteratorStreamer(tokenizer(), skip_prompt=True, timeout=60)
        inputs = {**tokenizer()(PROMPT, return_tensors="pt", return_token_type_ids=False), **GREEDY}
        thread = threading.Thread(target=model.generate, kwargs={**inputs, "streamer": streamer})
        thread.start()
        found.append("".join(streamer))
        thread.join()
        assert found[-1].split() == wanted(model).split()
    assert found[0] == found[1] != found[2]


def train(model: Model, folder: Path, *, resume: bool = False, steps: int = 4, **options: Any) -> dict[str, Tensor]:
    """What a Trainer makes of a model in a few steps."""
    rows = text(2 * SEGMENT + 3, batch=8, seed=4)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        save_steps=2,
        learning_rate=1e-2,
        lr_scheduler_type="constant",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        use_cpu=True,
        **{"per_device_train_batch_size": 2, **options},
    )
    trainer = Trainer(model, arguments, train_dataset=[{"input_ids": row, "labels": row} for row in rows])
    with sdpa_kernel(SDPBackend.MATH):
        trainer.train(resume_from_checkpoint=resume)
    return {name: one.detach().clone() for name, one in model.named_parameters() if one.requires_grad}


def fresh(memory: bool) -> Model:
    if not memory:
        return base_model()
    model = base_model()
    inject(model, small_config())
    stir(model)
    return model


@pytest.mark.parametrize("memory", [False, True])
def test_a_trainer_trains_accumulates_checkpoints_and_goes_on(memory: bool, tmp_path: Path) -> None:
    before = {name: one.detach().clone() for name, one in fresh(memory).named_parameters()}
    whole = train(fresh(memory), tmp_path / "whole")
    assert all(".infini." in name for name in whole) is memory
    assert all(not torch.equal(one, before[name]) for name, one in whole.items())
    gathered = train(fresh(memory), tmp_path / "gathered", per_device_train_batch_size=1, gradient_accumulation_steps=2)
    checkpointed = train(fresh(memory), tmp_path / "checkpointed", gradient_checkpointing=True)
    train(fresh(memory), tmp_path / "stopped", steps=2)
    resumed_model = fresh(memory)
    resumed = train(resumed_model, tmp_path / "stopped", resume=True)
    for name, one in whole.items():
        torch.testing.assert_close(gathered[name], one, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(checkpointed[name], one, rtol=1e-3, atol=1e-3)
        assert torch.equal(resumed[name], one), name
    if memory:
        assert len(memory_parameters(resumed_model)) == len(whole)
