"""A model of two layers with random weights, as a folder with a recipe: what reads, asks and summarises in no time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

SENTENCES = (
    "The miller came to the river in the morning and saw a boat with six lamps.",
    "Nobody in the village knew who had lit them, or why the boat had no oars.",
    "On the third day Marta found a letter under the bridge and read it aloud.",
    "It said that the mill would be sold in October for ninety silver pieces.",
    "The old clock struck four while the rain fell on the roof of the tower.",
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
RECIPE = """name = "tiny"
[base]
source = "directory"
name = "{base}"
licence = "CC0-1.0"
[config]
segment_length = {segment}
rank = 4
"""


def write_base(folder: Path, sentences: Sequence[str] = SENTENCES) -> Path:
    """A Llama of two layers, with a byte-level tokenizer that has seen a few sentences, and a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
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
    tokenizer.train_from_iterator(sentences, trainer)
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


def write_model(folder: Path, *, segment: int = 32) -> Path:
    """A recipe's folder, with the base weights beside the recipe."""
    base = folder / "base"
    base.mkdir(parents=True)
    write_base(base)
    (folder / "recipe.toml").write_text(RECIPE.format(base=base, segment=segment))
    return folder


def book(paragraphs: int, seed: int = 0) -> str:
    """A text of so many paragraphs, no two alike."""
    import random

    draw = random.Random(seed)
    return "\n\n".join(
        f"{number}. " + " ".join(draw.sample(SENTENCES, 3)) + f" It was the {draw.randrange(10_000)}th time."
        for number in range(paragraphs)
    )
