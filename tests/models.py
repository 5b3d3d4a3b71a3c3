"""Tiny random models of every family, and the small things that tests do with them."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from infini_attention.memory.cache import InfiniCache
from infini_attention.memory.config import InfiniConfig, UpdateRule
from infini_attention.memory.inject import inject, injection, new_cache
from infini_attention.memory.parameters import memory_parameters
from infini_attention.memory.state import Origin
from infini_attention.model.adapters import SCALE, LoraAdapter
from infini_attention.model.loading import Loaded
from infini_attention.train.rollout import Learner
from infini_attention.train.segments import Segment
from infini_attention.train.tasks import BatchShape, TrainingTask
from infini_attention.train.training_plan import Phase, TrainingPlan
from torch import Tensor
from transformers import AutoModelForCausalLM, PretrainedConfig
from transformers.models.gemma3 import Gemma3TextConfig
from transformers.models.llama import LlamaConfig
from transformers.models.mistral import MistralConfig
from transformers.models.qwen2 import Qwen2Config
from transformers.models.qwen3 import Qwen3Config

# transformers leaves much of its models' interface untyped.
Model = Any

FAMILIES = ("llama", "gemma3")
RULES: tuple[UpdateRule, ...] = ("linear", "delta", "deltanet")
GATES = ("convex", "residual")
SEGMENT = 8
VOCABULARY = 61
# The processor, and what accelerators are there; a state may go between it and any of them.
DEVICES = [
    "cpu",
    *(["cuda"] if torch.cuda.is_available() else []),
    *(["mps"] if torch.backends.mps.is_available() else []),
]
DEVICE_PAIRS = [pair for pair in itertools.product(DEVICES, DEVICES) if "cpu" in pair]
ORIGIN = Origin("tiny", "base", "adapter", "config")


def family_config(family: str, *, layers: int = 2, **changes: Any) -> PretrainedConfig:
    """Configuration of a tiny model; four query heads of eight on two KV heads, no special tokens."""
    sizes: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        # Far from the usual 0.02: a model whose layers hardly do anything hides mistakes.
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
        **changes,
    }
    if family == "llama":
        return LlamaConfig(**sizes)
    if family == "mistral":
        return MistralConfig(**{"sliding_window": 5, **sizes})
    if family == "qwen2":
        # Qwen2 has no head size of its own.
        return Qwen2Config(**{key: value for key, value in sizes.items() if key != "head_dim"})
    if family == "qwen3":
        return Qwen3Config(**sizes)
    kinds = ["sliding_attention" if index % 2 == 0 else "full_attention" for index in range(layers)]
    return Gemma3TextConfig(
        **{"sliding_window": 5, "layer_types": kinds, "query_pre_attn_scalar": 8, "rope_theta": 10_000.0, **sizes}
    )


def base_model(
    family: str = "llama", *, dtype: torch.dtype = torch.float32, seed: int = 0, layers: int = 2, **changes: Any
) -> Model:
    """A tiny random model; the same in every call."""
    torch.manual_seed(seed)
    config = copy.deepcopy(family_config(family, layers=layers, **changes))
    return cast(Any, AutoModelForCausalLM).from_config(config, dtype=torch.float32).to(dtype).eval()


def small_config(**changes: Any) -> InfiniConfig:
    """A memory path for tiny models, whose gates are open and whose decay shows."""
    return InfiniConfig(
        **{"segment_length": SEGMENT, "rank": 4, "gate_bias": 0.0, "decay_tokens": (20.0, 5.0), **changes}
    )


class Words:
    """A tokenizer whose every token is a word."""

    def decode(self, ids: list[int]) -> str:
        """Numbers with spaces between them."""
        return " ".join(map(str, ids))


@dataclasses.dataclass
class Tiny:
    """As much of a loaded model as measuring it needs."""

    model: Model
    memory = True
    tokenizer: Words = dataclasses.field(default_factory=Words)

    @property
    def config(self) -> InfiniConfig:
        """Of the memory path."""
        record = injection(self.model)
        assert record is not None
        return record.config

    engine = Loaded.engine


def tiny_loaded(**changes: Any) -> Loaded:
    """A tiny model as if it had been loaded, its memory path untrained."""
    model = base_model()
    inject(model, small_config(**changes))
    return cast(Loaded, Tiny(model))


def decoder_of(model: Model) -> Any:
    """The decoder inside a language model."""
    return model.get_decoder()


def lora_of(model: Model, name: str = "reader") -> LoraAdapter:
    """An adapter of a model that shows."""
    adapter = LoraAdapter(model, name, rank=3)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in adapter.weights().values():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 5)
    return adapter


def merged(base: Model, adapter: LoraAdapter) -> Model:
    """The base with the adapter's changes in its weights for good."""
    decoder, weights = base.get_decoder(), adapter.weights()
    for name in {key.rpartition(".lora_")[0] for key in weights}:
        change = weights[f"{name}.lora_B.weight"] @ weights[f"{name}.lora_A.weight"]
        decoder.get_submodule(name).weight.data += SCALE * change.detach()
    return base


def stir(model: Model, scale: float = 0.3, seed: int = 1) -> None:
    """Moves every parameter of the memory path, so that none of its parts is a zero that hides another."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in memory_parameters(model).values():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))


def memory_model(
    family: str = "llama",
    *,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    base: dict[str, Any] | None = None,
    **changes: Any,
) -> Model:
    """A tiny model with a memory path that does something; in float64, where exactness can be seen."""
    return with_path(base_model(family, dtype=dtype, seed=seed, **(base or {})), **changes)


def with_path(base: Model, **changes: Any) -> Model:
    """A copy of a base with a memory path that does something."""
    model = copy.deepcopy(base)
    inject(model, small_config(**changes))
    stir(model)
    return model


class Again:
    """Work that is done again in Python, where a GPU would replay a recording of it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        work()

    def replay(self) -> None:
        self.work()


def text(tokens: int, *, batch: int = 1, seed: int = 3) -> Tensor:
    """Random token ids, ``[batch, tokens]``, without id 0."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, VOCABULARY, (batch, tokens), generator=generator)


def ids(tokens: int, seed: int) -> list[int]:
    """Random token ids of one row, as they are given to an engine."""
    found: list[int] = text(tokens, seed=seed)[0].tolist()
    return found


@torch.no_grad()
def logits_of(model: Model, ids: Tensor, cache: InfiniCache | None = None) -> Tensor:
    """Logits of every token of ``ids``."""
    return cast(Tensor, model(input_ids=ids, past_key_values=cache).logits)


@torch.no_grad()
def stream(model: Model, ids: Tensor, pieces: list[int]) -> tuple[Tensor, InfiniCache]:
    """Feeds ``ids`` in pieces of the given sizes and the rest at once; logits of all tokens, and the cache."""
    cache = new_cache(model)
    logits, start = [], 0
    for size in [*pieces, ids.shape[1]]:
        piece = ids[:, start : start + size]
        if piece.shape[1]:
            logits.append(logits_of(model, piece, cache))
            start += piece.shape[1]
    return torch.cat(logits, 1), cache


def memory_tensors(cache: InfiniCache) -> list[Tensor]:
    """All memory tensors of a cache, layer by layer; a layer without a memory gives none."""
    return [
        tensor
        for layer in cache.memories.values()
        if layer.memory is not None
        for tensor in layer.memory
        if tensor is not None
    ]


def losses_of(learner: Learner, task: TrainingTask, shape: BatchShape, steps: int) -> list[float]:
    """The loss of each step while a learner learns a task."""
    optimiser = torch.optim.Adam(learner.trained().values(), 0.02)
    losses = []
    for step in range(steps):
        loss = learner(task.sample(shape, np.random.default_rng(step))).loss
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    return losses


def short_plan(steps: int, **changes: Any) -> TrainingPlan:
    """A plan of one phase with one task, ``task``."""
    phase = Phase(steps, {"task": 1.0}, lengths=(SEGMENT,), segments=(2, 3), tokens=192)
    return TrainingPlan((phase,), **{"lr": 3e-2, "gate_lr": 3e-2, "warmup": 2, **changes})


class Announced:
    """The first segment says one token over and over; whatever follows it, that token is asked for later."""

    name = "task"

    def sample(self, plan: BatchShape, rng: np.random.Generator) -> list[Segment]:
        token = torch.from_numpy(rng.choice([5, 50], (plan.batch, 1)))
        first = token.expand(plan.batch, plan.length)
        made = [Segment(first, None, backprop=True)]
        for number in range(1, plan.segments):
            noise = torch.from_numpy(rng.integers(51, VOCABULARY, (plan.batch, plan.length)))
            last = number + 1 == plan.segments
            made.append(Segment(noise, first if last else None, backprop=last))
        return made
