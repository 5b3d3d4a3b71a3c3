"""A reranker of passages: tells the one that answers a question from others that share its words.

The base reads a passage and then the question, as far as its first layers, with low-rank changes that are in force only
meanwhile (LoRA, arXiv 2106.09685). The mean of the question's hidden states, along a learned direction, is how much the
passage tells. How likely the question becomes after a passage tells that too (see ``evidence``), but less well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedModel

from ..memory.inject import memory_off
from ..memory.stand_ins import standing_in
from ..model.adapters import RANK, LoraAdapter, copy_trained
from ..model.recipe import read_weights
from .kept_keys import KeptKeys

LAYERS = 18
NAME = "reranker"
ADAPTER = "adapter."
# Passages that are read side by side.
BATCH = 4


class Reranker(nn.Module):
    """Scores passages with a model whose own weights stay as they are.

    Args:
        model: a decoder; a memory path in it is not used.
        adapter: in force while it scores; new ones of its first layers by default. Layers above them are not run. A new
            reranker finds all passages equal.

    Attributes:
        direction: ``[C]``, float32.
        words: what a point of a search by words weighs beside the score.
        keys: of passages that were read, in inference.
    """

    def __init__(self, model: PreTrainedModel, adapter: LoraAdapter | None = None) -> None:
        super().__init__()
        self.adapter = LoraAdapter(model, NAME, LAYERS, RANK) if adapter is None else adapter
        decoder, device = cast(Any, model.get_decoder()), model.device
        self.direction = nn.Parameter(torch.zeros(cast(int, decoder.config.hidden_size), device=device))
        self.words = nn.Parameter(torch.tensor(0.3, device=device))
        self.keys = KeptKeys()

    @property
    def model(self) -> PreTrainedModel:
        """The model that it scores with."""
        return self.adapter.model

    def forward(self, passages: Sequence[Sequence[int]], questions: Sequence[Sequence[int]]) -> Tensor:
        """How much each passage tells for each question.

        Args:
            passages: token ids each, at least one.
            questions: token ids each, at least two.

        Returns:
            ``[len(questions), len(passages)]``, float32.
        """
        decoder, device = cast(Any, self.model.get_decoder()), self.model.device
        shown = _shown(passages, device)
        lengths = shown.sum(1)
        # Behind its end a question may go on with anything: nothing before looks at it.
        asked = _padded(questions, "right").to(device)
        ends = torch.tensor([len(question) for question in questions], device=device)
        places = torch.arange(asked.shape[1], device=device)
        count = len(questions)
        with self._in_force():
            # A passage is read once for all questions.
            cache = self._kept(passages) if self._keeps() else self._read(passages)
            if count > 1:
                cache.batch_repeat_interleave(count)
            seen = torch.cat([shown, shown.new_ones(len(passages), asked.shape[1])], 1)
            hidden = decoder(
                input_ids=asked.repeat(len(passages), 1),
                attention_mask=seen.long().repeat_interleave(count, 0),
                position_ids=(lengths[:, None] + places).repeat_interleave(count, 0),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state.float()
        # The first token has seen nothing of the question.
        counted = (places > 0) & (places < ends[:, None])
        means = (hidden.unflatten(0, (-1, count)) * counted[..., None]).sum(2) / counted.sum(1)[:, None]
        scores: Tensor = means @ self.direction
        return scores.T

    def _read(self, passages: Sequence[Sequence[int]]) -> DynamicCache:
        """Keys and values of passages, padded on the left, so that a question stands right behind each."""
        cache, shown = DynamicCache(), _shown(passages, self.model.device)
        cast(Any, self.model.get_decoder())(
            input_ids=_padded(passages, "left").to(shown.device),
            attention_mask=shown.long(),
            position_ids=(shown.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
        )
        return cache

    def _keeps(self) -> bool:
        """Whether passages are read for later questions too: on a processor, where reading them takes longest."""
        model = self.model
        return torch.is_inference_mode_enabled() and model.device.type == "cpu" and model.dtype is torch.float32

    def _kept(self, passages: Sequence[Sequence[int]]) -> DynamicCache:
        """The same; what was read for an earlier question is not read again."""
        if self.adapter.learns:
            self.keys.clear()
        wanted = [tuple(passage) for passage in passages]
        # Passages of like length side by side waste the least on padding.
        new = sorted({passage for passage in wanted if passage not in self.keys}, key=len)
        for start in range(0, len(new), BATCH):
            few = new[start : start + BATCH]
            self.keys.add(few, self._read(few))
        found = self.keys.together(wanted)
        self.keys.shrink()
        return found

    @contextlib.contextmanager
    def _in_force(self) -> Iterator[None]:
        decoder = cast(Any, self.model.get_decoder())
        with self.adapter.in_force(), memory_off(self.model), standing_in(self.model):
            every = decoder.layers
            decoder.layers = every[: self.adapter.layers]
            try:
                yield
            finally:
                decoder.layers = every

    def weights(self) -> dict[str, nn.Parameter]:
        """Everything that is trained, by name."""
        return {**dict(self.named_parameters()), **{f"{ADAPTER}{n}": w for n, w in self.adapter.weights().items()}}

    def trained(self) -> dict[str, nn.Parameter]:
        """The same; from here on nothing else of the model requires gradients."""
        self.adapter.trained()
        self.requires_grad_(True)
        return self.weights()


def _padded(rows: Sequence[Sequence[int]], side: str) -> Tensor:
    return pad_sequence([torch.tensor(list(row)) for row in rows], batch_first=True, padding_side=side)


def _shown(passages: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """``[P, T]``, where passages stand that are padded on the left."""
    lengths = torch.tensor([len(passage) for passage in passages], device=device)
    places = torch.arange(max(map(len, passages)), device=device)
    return places >= len(places) - lengths[:, None]


def load_reranker(model: PreTrainedModel, file: Path | None) -> Reranker | None:
    """The reranker in a file; ``None`` where there is none.

    Args:
        model: the base that it was trained with.
        file: see ``Recipe.reranker_file``.

    Raises:
        ModelUnavailable: it is damaged, or belongs to another base.
    """
    if file is None:
        return None
    tensors = read_weights(file)
    adapter = LoraAdapter.like(model, NAME, tensors)
    reranker = Reranker(model, adapter)
    copy_trained(tensors, reranker.weights(), file)
    adapter.ready()
    return reranker.requires_grad_(False)
