"""A tiny random model of every family of causal language models that transformers has, and what each can be used for.

``PYTHONPATH=models:tests python tests/families.py`` prints the table that stands in docs/python.md.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
from infini_attention.errors import UseError
from infini_attention.memory.inject import inject, new_cache
from infini_attention.memory.parameters import memory_parameters
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from models import SEGMENT, VOCABULARY, Model, logits_of, small_config, stir, text

# Sizes by the names that families give them; each takes those that it knows.
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    # Far from the usual 0.02: a model whose layers hardly do anything hides mistakes.
    "initializer_range": 0.3,
    "sliding_window": 5,
    "query_pre_attn_scalar": 8,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_k": 2,
    "n_group": 1,
    "topk_group": 1,
    "n_shared_experts": 1,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 0,
}
# What some need besides, or do not take.
OWN: dict[str, dict[str, Any]] = {
    "bamba": {"mamba_n_heads": 4, "mamba_d_head": 16, "attn_layer_indices": [1]},
    "codegen": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4},
    "cwm": {"bos_token_id": 1, "eos_token_id": 2},
    "gemma4_text": {"vocab_size_per_layer_input": 61, "hidden_size_per_layer_input": 0, "global_head_dim": 8},
    "gpt_neo": {"num_layers": 2, "attention_types": [[["global", "local"], 1]]},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "modernbert-decoder": {"bos_token_id": 1, "eos_token_id": 2},
}
# Not a language model of text alone, or one that cannot be made small by these names.
NOT_MADE = frozenset(
    [
        "blenderbot",
        "blt",
        "cohere_compass_text",
        "dbrx",
        "deepseek_v32",
        "dots3_note",
        "dots3_note_text",
        "emu3",
        "fuyu",
        "gemma3",
        "gemma3n",
        "gemma3n_text",
        "gemma4",
        "gemma4_assistant",
        "gemma4_unified",
        "gemma4_unified_assistant",
        "git",
        "glm_moe_dsa",
        "got_ocr2",
        "granitemoehybrid",
        "hy_v4",
        "lfm2_moe",
        "llama4",
        "llama4_text",
        "longcat_flash",
        "mamba2",
        "mllama",
        "moss_transcribe_diarize",
        "musicgen",
        "musicgen_melody",
        "phi4_multimodal",
        "plbart",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen4_exp",
        "reformer",
        "roc_bert",
        "whisper",
        "xlnet",
        "zamba",
        "zamba2",
        "zaya",
    ]
)
USES = ("reads", "generates", "takes back", "checkpointing", "eager")
# What an error says, and what the table says.
REASONS = {
    "hybrid": "recurrent or convolutional layers, or shared keys",
    "encoder": "attends to an encoder",
    "AttentionInterface": "attention that transformers cannot exchange",
    "": "another architecture",
}
LONG = SEGMENT + 5
CLOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-4}


def family_names() -> list[str]:
    """All that are made, by the ``model_type`` of their configuration."""
    return sorted(set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - NOT_MADE)


def tiny(family: str) -> Model:
    """A tiny random model, in float32 and evaluation mode; the same in every call."""
    cast(Any, logging).set_verbosity_error()
    known = AutoConfig.for_model(family)
    names = set(known.to_dict()) | set(getattr(known, "attribute_map", {}))
    sizes = {name: size for name, size in SIZES.items() if name in names}
    config = AutoConfig.for_model(family, **{**sizes, **OWN.get(family, {})})
    torch.manual_seed(0)
    return cast(Any, AutoModelForCausalLM).from_config(config, dtype=torch.float32).eval()


def uses_of(base: Model) -> tuple[str, ...]:
    """What a family can be used for, by ``USES``, or why it is refused.

    Raises:
        AssertionError: something is wrong, and nothing said so.
    """
    before = {name: parameter.requires_grad for name, parameter in base.named_parameters()}
    attention = base.config._attn_implementation
    model = copy.deepcopy(base)
    try:
        inject(model, small_config())
    except UseError as error:
        assert {name: parameter.requires_grad for name, parameter in model.named_parameters()} == before
        assert model.config._attn_implementation == attention and "forward" not in vars(model.get_decoder())
        return (f"refused: {next(text for word, text in REASONS.items() if word in error.message)}",)
    return tuple(
        _outcome(use, base, copy.deepcopy(model)) for use in (_reads, _generates, _takes_back, _learns, _eager)
    )


def _outcome(use: Callable[[Model, Model], None], base: Model, model: Model) -> str:
    try:
        use(base, model)
    except UseError:
        return "refused"
    return "yes"


def _reads(base: Model, model: Model) -> None:
    """Segments are the base's own while memory is closed, and see those before while it is open."""
    ids = text(LONG, batch=2)
    assert torch.equal(logits_of(model, ids[:, :SEGMENT]), logits_of(base, ids[:, :SEGMENT]))
    alone = torch.cat([logits_of(base, piece) for piece in torch.split(ids, SEGMENT, 1)], 1)
    gates = [one for name, one in memory_parameters(model).items() if name.endswith("gate_bias")]
    for gate in gates:
        gate.data.fill_(-1e9)
    torch.testing.assert_close(logits_of(model, ids), alone, **CLOSE)
    for gate in gates:
        gate.data.fill_(0)
    stir(model)
    assert not torch.allclose(logits_of(model, ids)[:, SEGMENT:], alone[:, SEGMENT:], atol=1e-2)


def _generates(base: Model, model: Model) -> None:
    stir(model)
    ids = text(3, batch=2)
    whole = model.generate(ids, max_new_tokens=SEGMENT, do_sample=False, eos_token_id=None)
    assert torch.equal(whole[:, 3:], logits_of(model, whole[:, :-1])[:, 2:].argmax(-1))


def _takes_back(base: Model, model: Model) -> None:
    stir(model)
    ids, cache = text(LONG), new_cache(model)
    cache.activate_past_recording()
    logits_of(model, ids[:, : SEGMENT + 2], cache)
    cache.crop(-4)
    rest = logits_of(model, ids[:, SEGMENT - 2 :], cache)
    torch.testing.assert_close(rest, logits_of(model, ids)[:, SEGMENT - 2 :], **CLOSE)


def _learns(base: Model, model: Model) -> None:
    stir(model)
    model.train()
    ids, found = text(LONG, batch=2), []
    for checkpointed in (False, True):
        if checkpointed:
            model.activation_checkpointing_enable()
        model.zero_grad()
        # Dropout draws the same.
        torch.manual_seed(0)
        model(ids, labels=ids).loss.backward()
        found.append([cast(Any, one.grad).clone() for one in memory_parameters(model).values()])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain, **CLOSE)


def _eager(base: Model, model: Model) -> None:
    plain = copy.deepcopy(base)
    plain.set_attn_implementation("eager")
    model, ids = copy.deepcopy(plain), text(LONG)
    inject(model, small_config())
    first, wanted = (one(ids[:, :SEGMENT], output_attentions=True) for one in (model, plain))
    assert torch.equal(first.logits, wanted.logits)
    assert len(first.attentions) == len(wanted.attentions) > 0
    assert all(map(torch.equal, first.attentions, wanted.attentions))
    assert {tuple(one.shape) for one in model(ids, output_attentions=True).attentions} == {(1, 4, LONG, LONG)}


def table(found: dict[str, tuple[str, ...]]) -> str:
    """Families that can be used in the same ways, a row each."""
    rows = [f"| Families | {' | '.join(USES)} |", f"|---|{'---|' * len(USES)}"]
    kinds = sorted(set(found.values()), key=lambda kind: (len(kind) == 1, kind))
    for kind in kinds:
        names = ", ".join(f"`{name}`" for name in sorted(found) if found[name] == kind)
        rows.append(f"| {names} | {' | '.join([*kind, *[''] * (len(USES) - len(kind))])} |")
    return "\n".join(rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(table({name: uses_of(tiny(name)) for name in family_names()}))
