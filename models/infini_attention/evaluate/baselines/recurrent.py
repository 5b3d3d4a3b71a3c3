"""Baseline ``rmt``: memory tokens (Recurrent Memory Transformer, arXiv 2207.06881).

A segment stands between two copies of its memory tokens. It reads the first; the second reads it, and what the base
makes of that are the memory tokens of the next segment. The base has to learn this: by the first memory tokens of all
and by low-rank changes of its attention's projections (LoRA, arXiv 2106.09685, the package peft), as many parameters
as a memory path of the same rank has.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ...errors import InfiniError
from ...memory.adapting import put_in_force
from ...memory.inject import memory_off
from ...memory.parameters import copy_weights
from ...model.adapters import LoraAdapter
from ...model.recipe import file_in, read_weights
from .plain import PlainReader

WEIGHTS = "rmt.safetensors"
NAME = "rmt"
FIRST = "first"
TOKENS = 16
RANK = 16
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


class MemoryTokens(nn.Module):
    """Puts low-rank changes into a model, which belongs to this baseline from then on.

    Args:
        model: a language model; a memory path in it is not used. Changes of an earlier such object in it are dropped.
        tokens: memory tokens, ``M``.
        rank: of the changes.
        seed: draws what is not zero in the beginning.
    """

    def __init__(self, model: PreTrainedModel, tokens: int = TOKENS, rank: int = RANK, seed: int = 0) -> None:
        super().__init__()
        self.model = model
        embeddings = cast(Tensor, model.get_input_embeddings().weight)
        self.adapter = LoraAdapter(model, NAME, None, rank, seed, projections=PROJECTIONS, scale=1)
        noise = torch.randn(tokens, embeddings.shape[1], generator=torch.Generator().manual_seed(seed))
        scale = embeddings.detach().float().std()
        self.first = nn.Parameter(noise.to(embeddings.device) * scale)

    def weights(self) -> dict[str, nn.Parameter]:
        """Everything that is trained, by name."""
        return {FIRST: self.first, **self.adapter.weights()}

    def start(self, rows: int) -> Tensor:
        """``[rows, M, C]``, memory tokens before anything was read."""
        return self.first.to(self.model.dtype).expand(rows, -1, -1)

    def forward(self, memory: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """One segment.

        Args:
            memory: ``[B, M, C]``, what the segments before left.
            ids: ``[B, T]`` token ids.

        Returns:
            ``[B, T, C]``, the last hidden states of the segment, and ``[B, M, C]``, what it leaves.
        """
        embedded = self.model.get_input_embeddings()(ids)
        put_in_force(self.model, self.adapter)
        with memory_off(self.model):
            hidden = self.model.get_decoder()(
                inputs_embeds=torch.cat([memory, embedded, memory], 1), use_cache=False
            ).last_hidden_state
        tokens = memory.shape[1]
        own, left = hidden.split([hidden.shape[1] - tokens, tokens], 1)
        return own[:, tokens:], left


class Recurrent(PlainReader):
    """Reads segment by segment; what is kept of them are memory tokens.

    Args:
        tokens: memory tokens and the model that they are in.
        segment_length: tokens of a segment.
    """

    def __init__(self, tokens: MemoryTokens, segment_length: int) -> None:
        super().__init__(tokens.model, segment_length)
        self.memory_tokens, self.adapter = tokens, tokens.adapter
        self.memory: Tensor | None = None

    @property
    def state_bytes(self) -> int:
        """Bytes of the memory tokens, once something was read."""
        return 0 if self.memory is None else self.memory.nbytes

    @torch.inference_mode()
    def step(self, ids: Tensor) -> Tensor:
        """Reads one segment: see ``plain.PlainReader``."""
        found: tuple[Tensor, Tensor] = self.memory_tokens(self._memory(), ids.to(self.model.device))
        hidden, self.memory = found
        self.tokens += ids.shape[1]
        return hidden

    def logits_of(self, ids: list[int]) -> Tensor:
        """What comes next: see ``plain.PlainReader``."""
        embedded = self.model.get_input_embeddings()(torch.tensor([ids], device=self.model.device))
        if not self.cache.get_seq_length():
            embedded = torch.cat([self._memory(), embedded], 1)
        return self.next_logits(inputs_embeds=embedded)

    def _memory(self) -> Tensor:
        return self.memory_tokens.start(1) if self.memory is None else self.memory


def weights_file(folder: Path | None) -> Path | None:
    """Trained memory tokens in a recipe's folder, if there are any."""
    return file_in(folder, WEIGHTS)


def load_recurrent(model: PreTrainedModel, folder: Path | None, name: str) -> MemoryTokens:
    """Memory tokens as ``infini adapt --system rmt`` left them.

    Args:
        model: the base; see ``MemoryTokens``.
        folder: the recipe's.
        name: the recipe's, for messages.

    Raises:
        InfiniError: there are none, or they are damaged or belong to another base.
    """
    file = weights_file(folder)
    if file is None:
        raise InfiniError(
            f"{name} has no memory tokens",
            "train them with infini adapt --system rmt, and name its folder with --model",
        )
    tensors = read_weights(file)
    rank = next(tensor.shape[0] for key, tensor in tensors.items() if ".lora_A." in key)
    tokens = MemoryTokens(model, len(tensors[FIRST]), rank)
    try:
        copy_weights(tensors, tokens.weights(), "the file")
    except ValueError as error:
        raise InfiniError(f"{file} cannot be used: {error}", "train memory tokens for this base") from error
    return tokens
