"""What baselines have in common: reading by segments, and greedy answers, with keys and values of the base's own."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor
from transformers import DynamicCache, LogitsProcessorList, PreTrainedModel

from ...errors import InfiniError
from ...memory.adapting import Switchable, put_in_force
from ...memory.cache import shared_copy
from ...memory.decoding import decode, room_for_answer
from ...memory.inject import memory_off


class PlainReader:
    """Reads segment by segment; what is kept of them is a subclass's matter.

    Args:
        model: a language model; a memory path in it is not used.
        segment_length: tokens of a segment.
    """

    def __init__(self, model: PreTrainedModel, segment_length: int) -> None:
        self.model, self.segment_length = model, segment_length
        self.adapter: Switchable | None = None
        self.cache = DynamicCache()
        self.open_ids: list[int] = []
        self.tokens = 0

    @property
    def state_bytes(self) -> int:
        """Bytes of the keys and values that are kept."""
        layers = [layer for layer in cast(list[Any], self.cache.layers) if layer.is_initialized]
        return sum(tensor.nbytes for layer in layers for tensor in (layer.keys, layer.values))

    def read(self, ids: Sequence[int] | Tensor) -> None:
        """Reads token ids; what does not fill a segment waits."""
        self.open_ids += ids.tolist() if isinstance(ids, Tensor) else ids
        start = 0
        while len(self.open_ids) - start >= self.segment_length:
            self.step(torch.tensor([self.open_ids[start : start + self.segment_length]]))
            start += self.segment_length
        del self.open_ids[:start]

    @torch.inference_mode()
    def step(self, ids: Tensor) -> Tensor:
        """Reads one segment.

        Args:
            ids: ``[1, T]`` token ids.

        Returns:
            ``[1, T, C]``, the decoder's last hidden states.
        """
        with self.running():
            hidden = self.model.get_decoder()(
                input_ids=ids.to(self.model.device), past_key_values=self.cache, use_cache=True
            ).last_hidden_state
        self.tokens += ids.shape[1]
        return cast(Tensor, hidden)

    def fork(self) -> Self:
        """One that has read the same and goes on by itself."""
        other = copy.copy(self)
        other.cache, other.open_ids = shared_copy(self.cache), list(self.open_ids)
        return other

    @torch.inference_mode()
    def generate(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        *,
        stop: Collection[int] = (),
        processors: LogitsProcessorList | None = None,
    ) -> Iterator[int]:
        """Yields the ids that continue what was read and a prompt; what was read stays as it is.

        Args:
            prompt: token ids, at least one.
            max_new_tokens: the most tokens to give.
            stop: ids that end the answer; they are not given.
            processors: transformers' logits processors; they see the prompt and the answer.
        """
        other = self.fork()
        if other.open_ids and not room_for_answer(
            len(other.open_ids), len(prompt), max_new_tokens, self.segment_length
        ):
            other.step(torch.tensor([other.open_ids]))
            other.open_ids = []

        view = other.open_ids + list(prompt)
        yield from decode(other.logits_of, view, len(prompt), max_new_tokens, stop=stop, processors=processors)

    def logits_of(self, ids: list[int]) -> Tensor:
        """``[1, V]``, what comes next; the ids join what is kept."""
        return self.next_logits(input_ids=torch.tensor([ids], device=self.model.device))

    def next_logits(self, **inputs: Tensor) -> Tensor:
        """``[1, V]``, what comes after inputs of the model that follow what is kept."""
        with self.running():
            outputs = self.model(**inputs, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        return cast(Tensor, outputs.logits[:, -1])

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Inside, the model runs as this baseline has it; here, as the base."""
        put_in_force(self.model, self.adapter)
        try:
            with memory_off(self.model):
                yield
        finally:
            put_in_force(self.model, None)


def require_plain_positions(model: PreTrainedModel) -> None:
    """Refuses a base whose keys cannot be moved by a rotation alone.

    Raises:
        InfiniError: its layers differ in their rotary embeddings, or these scale or turn only a part.
    """
    rotary = getattr(model.get_decoder(), "rotary_emb", None)
    try:
        size = cast(Any, model.get_decoder()).layers[0].self_attn.head_dim
        cos, _ = cast(Any, rotary)(
            torch.zeros(1, 1, 1, size, device=model.device), torch.zeros(1, 1, device=model.device)
        )
        plain = cos.shape[-1] == size and bool((cos == 1).all())
    except (TypeError, AttributeError):
        plain = False
    if not plain:
        raise InfiniError(
            f"this baseline needs plain rotary positions, which a {model.config.model_type} base does not have",
            "use --system memory or --system local",
        )


def rotated(model: PreTrainedModel, states: Tensor, by: Tensor) -> Tensor:
    """Queries or keys as if they had stood elsewhere: rotary embeddings of positions add up.

    Args:
        model: whose rotary embedding they carry.
        states: ``[B, H, T, D]``.
        by: ``[T]`` or ``[1]``, positions to move by.
    """
    rotary = cast(Any, model.get_decoder()).rotary_emb
    cos, sin = rotary(states.float(), by[None])
    first, second = states.float().chunk(2, -1)
    turned = states.float() * cos[:, None] + torch.cat([-second, first], -1) * sin[:, None]
    return cast(Tensor, turned.to(states.dtype))
