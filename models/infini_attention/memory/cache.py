"""InfiniCache: the local keys and values of the open segment, and one memory a layer.

To transformers it is a ``Cache`` that has seen every token so far; inside, an ordinary ``DynamicCache`` holds the open
segment alone and is replaced when the segment closes, which is when its tokens are written into the memories.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PretrainedConfig

from .config import InfiniConfig
from .ngrams import bind
from .rules import Memory, Write, empty_memory, update

AnyCache = TypeVar("AnyCache", bound=Cache)
Pack = TypeVar("Pack", Memory, Write)


@dataclasses.dataclass(slots=True)
class LayerMemory:
    """What one decoder layer carries from token to token.

    Attributes:
        memory: what was read up to the last closed segment; ``None`` while nothing was.
        pending: what the open segment's tokens will write, in pieces as they came.
        previous: ``[B, 1, rank]``, the last token's part in its successor's memory key.
        key_state: ``[B, H, D]``, what the layer's gated key state holds (see ``gated_state``).
        value_state: ``[B, H, V]``, what its gated value state holds.
        learn_writes: track gradients of what is written even where the network runs without them.
    """

    memory: Memory | None = None
    pending: list[Write] = dataclasses.field(default_factory=list)
    previous: Tensor | None = None
    key_state: Tensor | None = None
    value_state: Tensor | None = None
    learn_writes: bool = False

    def open_write(self) -> Write:
        """What the open segment will write; it must not be empty."""
        return _join(self.pending)

    def map(self, change: Callable[[Tensor], Tensor]) -> None:
        """Replaces every tensor by ``change(tensor)``; the batch is always the first axis."""

        def each(pack: Any) -> Any:
            return type(pack)(*(None if tensor is None else change(tensor) for tensor in pack))

        self.memory = None if self.memory is None else each(self.memory)
        self.pending = [each(write) for write in self.pending]
        self.previous = None if self.previous is None else change(self.previous)
        self.key_state = None if self.key_state is None else change(self.key_state)
        self.value_state = None if self.value_state is None else change(self.value_state)


class OpenSegment(DynamicCache):
    """Local keys and values of the open segment; knows the memories that belong to it.

    Attributes:
        memories: of the layers.
        signs: ``[B, T, H, D]``, of the tokens that are going through the decoder; ``None`` where no path asks for them.
        ngrams: of the same tokens (see ``ngrams.bind``), likewise.
        behind: ``[B, n, H, D]``, signs of the tokens just before those that come next, also of the segment before; ``None``
            at a text's beginning.
    """

    def __init__(
        self, base_config: PretrainedConfig, layers: dict[int, LayerMemory], behind: Tensor | None = None
    ) -> None:
        super().__init__(config=base_config)
        self.memories = layers
        self.signs: Tensor | None = None
        self.ngrams: Tensor | None = None
        self.behind = behind

    def see(self, signs: Tensor, lengths: Sequence[int]) -> None:
        """Keeps the signs of tokens that come next in the text, ``[B, T, H, D]``, and binds the n-grams of some lengths."""
        self.signs = signs
        if not lengths:
            return
        longest = max(lengths)
        if self.behind is None:
            self.behind = signs.new_zeros(signs.shape[0], longest, *signs.shape[2:])
        signs = torch.cat([self.behind, signs], 1)
        self.ngrams, self.behind = bind(signs, lengths), signs[:, -longest:]

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Reorders the batch for beam search."""
        super().reorder_cache(beam_idx)
        if self.behind is not None:
            self.behind = self.behind.index_select(0, beam_idx.to(self.behind.device))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats each sequence of the batch ``repeats`` times."""
        super().batch_repeat_interleave(repeats)
        if self.behind is not None:
            self.behind = self.behind.repeat_interleave(repeats, dim=0)


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
        self.memories = {index: LayerMemory() for index in (range(count) if config.layers is None else config.layers)}
        self.open_tokens = 0
        self.tokens = 0
        self.segments = 0
        self.local = OpenSegment(base_config, self.memories)
        self.beginning: list[Tensor] | None = [] if config.reread_first else None

    @property
    def room(self) -> int:
        """Tokens that still fit into the open segment; at least 1."""
        return self.config.segment_length - self.open_tokens

    def advance(self, tokens: int) -> None:
        """Counts tokens that went through the decoder; closes the segment when they fill it.

        Raises:
            ValueError: they are more than the open segment has room for.
        """
        if tokens > self.room:
            raise ValueError(f"{tokens} tokens do not fit into the {self.room} left in the open segment")
        self.open_tokens += tokens
        self.tokens += tokens
        if self.room == 0:
            self.close_segment()

    def close_segment(self) -> None:
        """Writes the open segment into the memories and opens the next; an empty segment is left as it is."""
        if self.open_tokens == 0:
            return
        layers = list(self.memories.values())
        writes = [layer.open_write() for layer in layers]
        for group in together(writes):
            before = [layers[i].memory or empty_memory(self.config.update_rule, writes[i]) for i in group]
            after = update(self.config.update_rule, stacked(before), stacked([writes[i] for i in group]))
            for i, memory in zip(group, _parts(after, len(group)), strict=True):
                layers[i].memory = memory
        for layer in layers:
            layer.pending = []
            layer.previous = layer.key_state = layer.value_state = None
        self.open_tokens = 0
        self.segments += 1
        self.local = OpenSegment(self.base_config, self.memories, self.local.behind)

    def keep(self, inputs: Tensor) -> None:
        """Keeps what the decoder is about to read, ``[B, T]`` ids or ``[B, T, C]`` embeddings, if it is to be read again."""
        if self.beginning is not None:
            self.beginning.append(inputs)

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
        other.memories = {
            index: dataclasses.replace(layer, pending=list(layer.pending)) for index, layer in self.memories.items()
        }
        other.local = shared_copy(self.local)
        other.local.memories = other.memories
        other.beginning = None if self.beginning is None else list(self.beginning)
        return other

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """All tokens seen, in every segment: what ``generate`` needs to know which tokens are new."""
        return self.tokens

    def get_max_length(self, layer_idx: int | None = None) -> int:
        """-1: no limit."""
        return -1

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Reorders the batch for beam search."""
        self.local.reorder_cache(beam_idx)
        for layer in self.memories.values():
            layer.map(lambda tensor: tensor.index_select(0, beam_idx.to(tensor.device)))
        self.beginning = self.beginning and [one.index_select(0, beam_idx.to(one.device)) for one in self.beginning]

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats each sequence of the batch ``repeats`` times."""
        self.local.batch_repeat_interleave(repeats)
        for layer in self.memories.values():
            layer.map(lambda tensor: tensor.repeat_interleave(repeats, dim=0))
        self.beginning = self.beginning and [one.repeat_interleave(repeats, dim=0) for one in self.beginning]


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


def _join(pieces: list[Write]) -> Write:
    if len(pieces) == 1:
        return pieces[0]
    betas = [piece.beta for piece in pieces if piece.beta is not None]
    gs = [piece.g for piece in pieces if piece.g is not None]
    return Write(
        torch.cat([piece.keys for piece in pieces], 2),
        torch.cat([piece.values for piece in pieces], 2),
        torch.cat(betas, 2) if betas else None,
        torch.cat(gs, 2) if gs else None,
    )
