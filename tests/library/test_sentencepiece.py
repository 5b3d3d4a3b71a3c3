"""A base that ships only a sentencepiece model: trained here, loaded through ``load``, read with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sentencepiece
import torch
from infini_attention import InfiniConfig, Loaded, MemoryState, load_model
from infini_attention.errors import ModelUnavailable

from models import base_model

SENTENCES = [
    "The lighthouse keeper counts the ships that pass before dawn.",
    "A letter came in spring, and nobody in the village could read it.",
    "Seven bridges cross the river, but only one of them is made of wood.",
    "She wrote down the number 40213 and folded the paper twice.",
    "When the bell rang, the children ran past the mill to the square.",
    "It rained for three days; the cellar of the old inn filled with water.",
    "Two brothers argued about the price of salt until the market closed.",
    "No map shows the path, yet every shepherd knows where it begins.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a ``tokenizer.model`` beside it, as Llama 2 and Mistral came."""
    made = tmp_path_factory.mktemp("sentencepiece-base")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4),
        model_prefix=str(made / "tokenizer"),
        vocab_size=360,
        model_type="bpe",
        byte_fallback=True,
        # As Llama's own was trained: the text as it is.
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    (made / "tokenizer.vocab").unlink()
    (made / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    base_model(vocab_size=360).save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Loaded:
    return load_model(str(folder), device="cpu", dtype="fp32", config=InfiniConfig(segment_length=16), fetch=False)


def test_the_ids_are_those_of_sentencepiece(folder: Path, loaded: Loaded) -> None:
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    for sentence in (*SENTENCES, "Unseen: Zürich, 三 and a tab\tend."):
        ids = loaded.encode(sentence)
        assert ids == pieces.encode(sentence)
        assert loaded.tokenizer.decode(ids) == sentence


def test_a_text_is_read_and_continued_with_it(loaded: Loaded, tmp_path: Path) -> None:
    ids = loaded.encode(" ".join(SENTENCES))
    engine = loaded.engine()
    engine.read(ids)
    assert engine.cache.segments == len(ids) // 16 > 3
    engine.snapshot(loaded.origin).save(tmp_path / "s.pt")
    other = loaded.engine()
    other.restore(MemoryState.load(tmp_path / "s.pt"), loaded.origin)
    prompt = loaded.encode("Who?")
    answer = list(other.generate(prompt, 5))
    assert answer == list(engine.generate(prompt, 5)) and len(answer) == 5
    assert isinstance(loaded.tokenizer.decode(answer), str)


def test_loading_again_gives_the_same_origin(folder: Path, loaded: Loaded) -> None:
    again = load_model(str(folder), device="cpu", dtype="bf16", config=loaded.config, fetch=False)
    assert again.origin == loaded.origin
    assert again.placement.dtype == torch.bfloat16
    assert {p.dtype for n, p in again.model.named_parameters() if "infini" not in n} == {torch.bfloat16}
    other = load_model(str(folder), device="cpu", dtype="fp32", config=InfiniConfig(segment_length=32), fetch=False)
    assert other.origin.config != loaded.origin.config


def test_a_folder_with_damaged_weights_is_not_available(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(ModelUnavailable) as caught:
        load_model(str(tmp_path), device="cpu", fetch=False)
    assert "\n" not in caught.value.message and caught.value.exit_code == 4


def test_a_folder_without_a_tokenizer_is_not_available(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ModelUnavailable) as caught:
        load_model(str(tmp_path), device="cpu", fetch=False)
    assert "\n" not in caught.value.message
