"""InfiniCache: the local keys and values of the open segment, and one memory a layer.

To transformers it is a ``Cache`` that has seen every token so far; inside, an ordinary ``DynamicCache`` holds the open
segment alone and is replaced when the segment closes, which is when its tokens are written into the memories.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from transformers import Cache, PretrainedConfig

from ..errors import UseError
from .config import InfiniConfig
from .layer_memory import LayerMemory, Pack
from .open_segment import OpenSegment
from .reading import Reading
from .rules import Memory, Write, empty_memory, update

AnyCache = TypeVar("AnyCache", bound=Cache)
# Tokens that can be taken back over a border, at least: no way of decoding drafts more at once.
REACH = 128


class InfiniCache(Cache):
    """The state of a model with a memory path, for ``model(...)`` and ``model.generate(...)``.

    Args:
        base_config: configuration of the base's decoder.
        config: configuration of its memory path.

    Attributes:
        beginning: what the text's first segment was read from, in pieces, where it is to be read again; ``None`` once it was,
            and where it is not.
    """

    def __init__(self, base_config: PretrainedConfig, config: InfiniConfig) -> None:
        super().__init__(layers=[])
        self.base_config = base_config
        self.config = config
        count = base_config.num_hidden_layers
        if config.layers is not None and config.layers[-1] >= count:
            raise ValueError(f"the base has {count} layers, so layer {config.layers[-1]} cannot carry a memory")
        self.recording = False
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        layers = range(self.base_config.num_hidden_layers) if self.config.layers is None else self.config.layers
        self.memories = {index: LayerMemory() for index in layers}
        self.open_tokens = 0
        self.tokens = 0
        self.segments = 0
        self.local = self._open(None)
        self.beginning: list[Tensor] | None = [] if self.config.reread_first else None
        # What it was just before each of the last borders, where tokens may be taken back over them.
        self.borders: list[InfiniCache] = []

    def _open(self, behind: Tensor | None) -> OpenSegment:
        local = OpenSegment(self.base_config, behind)
        if self.recording:
            local.activate_past_recording()
        return local

    @property
    def room(self) -> int:
        """Tokens that still fit into the open segment; at least 1."""
        return self.config.segment_length - self.open_tokens

    def take(self, reading: Reading, piece: Tensor) -> None:
        """Takes over what a piece of the text left; closes the segment when it fills it.

        Args:
            reading: of the piece, which went through all layers.
            piece: ``[B, T]`` ids or ``[B, T, C]`` embeddings that it was read from.

        Raises:
            ValueError: it has more tokens than the open segment has room for.
        """
        tokens = piece.shape[1]
        if tokens > self.room:
            raise ValueError(f"{tokens} tokens do not fit into the {self.room} left in the open segment")
        for index, layer in self.memories.items():
            layer.take(reading.layers[index])
        if self.beginning is not None:
            self.beginning = [*self.beginning, piece]
        self.open_tokens += tokens
        self.tokens += tokens
        if self.room == 0:
            self.close_segment()

    def close_segment(self) -> None:
        """Writes the open segment into the memories and opens the next; an empty segment is left as it is."""
        if self.open_tokens == 0:
            return
        self._note_border()
        layers = list(self.memories.values())
        writes = [layer.open_write() for layer in layers]
        for group in together(writes):
            before = [layers[i].memory or empty_memory(self.config.update_rule, writes[i]) for i in group]
            after = update(self.config.update_rule, stacked(before), stacked([writes[i] for i in group]))
            for i, memory in zip(group, _parts(after, len(group)), strict=True):
                layers[i].close(memory)
        self.open_tokens = 0
        self.segments += 1
        self.local = self._open(self.local.behind)

    def begin_again(self) -> Tensor | None:
        """Has the first segment, which was just closed, come next once more, with what it wrote in memory.

        What a segment writes depends on what it reads, and the first one reads nothing. It counts once.

        Returns:
            What it was read from; ``None`` where it is not to be read again.
        """
        if not self.beginning or self.segments != 1 or self.open_tokens:
            return None
        again, self.beginning = torch.cat(self.beginning, 1), None
        self.tokens -= again.shape[1]
        self.segments = 0
        self.local.behind = None
        return again

    def fork(self) -> InfiniCache:
        """A copy that goes on by itself. Tensors are shared: they are replaced, never changed in place."""
        other = copy.copy(self)
        other.memories = {index: layer.fork() for index, layer in self.memories.items()}
        other.local = shared_copy(self.local)
        other.borders = list(self.borders)
        return other

    def activate_past_recording(self) -> None:
        """From here on the last tokens can be taken back, over borders of segments too: assisted decoding asks for it."""
        self.recording = True
        self.local.activate_past_recording()

    @property
    def is_croppable(self) -> bool:
        """Whether its last tokens can be taken back: over borders once ``activate_past_recording`` was called."""
        return self.local.is_croppable

    def crop(self, tokens_to_remove: int) -> None:
        """Takes the last tokens back.

        Args:
            tokens_to_remove: how many, as a negative number, as transformers has it.

        Raises:
            UseError: the number is positive, or they were written into memory already, and what was there before is not
                kept. The cache is left as it was.
        """
        if tokens_to_remove > 0:
            raise UseError(
                f"crop({tokens_to_remove}): a cache is cropped by a negative number of tokens",
                f"to keep {tokens_to_remove} tokens, crop by that less get_seq_length()",
            )
        if not tokens_to_remove and not self.recording:
            return
        # Tokens after each border that can be gone back over, from the last one on.
        source: InfiniCache = self
        back, behind = -tokens_to_remove, list(self.borders)
        while back > source.open_tokens and behind:
            back -= source.open_tokens
            source = behind.pop()
        if back > source.open_tokens:
            raise UseError(
                f"{-tokens_to_remove} tokens cannot be taken back: their segment is closed, and written into memory",
                "keep cache.fork() from before they were read, or call cache.activate_past_recording() first",
            )
        source.require_keys()
        other = source.fork()
        other._keep_first(other.open_tokens - back)
        other.borders = behind
        self.become(other)

    def become(self, other: InfiniCache) -> None:
        """Is what another cache is, which is not to be used any more."""
        self.__dict__.update(other.__dict__)

    def _keep_first(self, tokens: int) -> None:
        """Takes back all of the open segment but its first tokens."""
        taken = self.open_tokens - tokens
        try:
            self.local.keep_first(tokens, self.open_tokens)
        except RuntimeError as error:
            raise UseError(
                "tokens cannot be taken back: their layers' windows have moved on",
                "call cache.activate_past_recording() before they are read",
            ) from error
        if not taken:
            return
        for layer in self.memories.values():
            layer.keep_first(tokens)
        if self.beginning:
            whole = torch.cat(self.beginning, 1)
            self.beginning = [whole[:, :-taken]] if taken < whole.shape[1] else []
        self.open_tokens = tokens
        self.tokens -= taken

    def _note_border(self) -> None:
        # A text's first segment that is read again closes twice: to go back is to go back before the first time.
        again = self.config.reread_first and self.beginning is None and self.segments == 0
        if not self.recording or again:
            return
        before = self.fork()
        before.borders = []
        self.borders.append(before)
        while sum(border.open_tokens for border in self.borders[1:]) >= REACH:
            del self.borders[0]

    def require_keys(self) -> None:
        """Refuses to go on in an open segment whose keys are not all there.

        Raises:
            UseError: it was read with gradient checkpointing, which keeps none.
        """
        if self.local.get_seq_length() != self.open_tokens:
            raise UseError(
                "the open segment was read with gradient checkpointing, which keeps no keys of it",
                "read whole segments in training, or close the segment: cache.close_segment()",
            )

    def update(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Refused: a model with a memory path never asks for it."""
        raise self._of_no_plain_model()

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Refused: a model with a memory path never asks for it."""
        raise self._of_no_plain_model()

    def _of_no_plain_model(self) -> UseError:
        return UseError(
            "an InfiniCache was given to a model without a memory path",
            "inject the path into that model, or pass it another cache",
        )

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """All tokens seen, in every segment: what ``generate`` needs to know which tokens are new."""
        return self.tokens

    def get_max_length(self, layer_idx: int | None = None) -> int:
        """-1: no limit."""
        return -1

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Reorders the batch for beam search."""
        self.local.reorder_cache(beam_idx)
        self._map(lambda tensor: tensor.index_select(0, beam_idx.to(tensor.device)))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats each sequence of the batch ``repeats`` times."""
        self.local.batch_repeat_interleave(repeats)
        self._map(lambda tensor: tensor.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps the sequences of these numbers, or those that a mask marks."""
        self.local.batch_select_indices(indices)
        self._map(lambda tensor: tensor[indices.to(tensor.device)])

    def _map(self, change: Callable[[Tensor], Tensor]) -> None:
        for layer in self.memories.values():
            layer.map(change)
        self.beginning = self.beginning and [change(one) for one in self.beginning]
        # What other sequences left before a border is not theirs.
        self.borders = []


def shared_copy(cache: AnyCache) -> AnyCache:
    """A cache that goes on by itself. Tensors are shared: transformers replaces them and changes none in place."""
    if isinstance(cache, InfiniCache):
        return cast(AnyCache, cache.fork())
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in cache.layers]
    return other


def together(writes: Sequence[Write]) -> list[list[int]]:
    """Numbers of the layers whose memories are updated at once: on an accelerator, where each step of each update costs a
    launch, all of one device and shape; on a processor each alone, which leaves it in its caches.
    """
    groups: dict[Any, list[int]] = {}
    for number, write in enumerate(writes):
        keys, values = write.keys, write.values
        alone = number if keys.device.type == "cpu" else None
        groups.setdefault((keys.device, keys.dtype, keys.shape, values.shape, alone), []).append(number)
    return list(groups.values())


def stacked(packs: Sequence[Pack]) -> Pack:
    """Several layers' tensors as one batch, layer after layer."""
    if len(packs) == 1:
        return packs[0]
    columns: Any = zip(*packs, strict=True)
    joined: list[Any] = [None if column[0] is None else torch.cat(column) for column in columns]
    return type(packs[0])(*joined)


def _parts(memory: Memory, count: int) -> list[Memory]:
    """A batch of several layers' memories, by layer."""
    if count == 1:
        return [memory]
    norms = [None] * count if memory.norm is None else memory.norm.chunk(count)
    return [Memory(matrix, norm) for matrix, norm in zip(memory.matrix.chunk(count), norms, strict=True)]
