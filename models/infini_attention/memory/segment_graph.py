"""Reading a whole segment as a CUDA graph: token ids and memories in, memories out."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .cache import InfiniCache
from .inject import injection, new_cache
from .open_segment import OpenSegment
from .parameters import memory_paths
from .recording import Recording, recorder
from .rules import Memory

# Whole segments that are read before one is recorded: a text of a few segments is not worth it.
FIRST = 2


class SegmentGraph:
    """What reading a segment does to a cache, recorded.

    Args:
        model: a language model with a memory path, all on one device.
        cache: whose memories are full, of the kind that will be read with.
        ids: ``[B, segment_length]``.
        record: how work is recorded.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        cache: InfiniCache,
        ids: Tensor,
        record: Callable[[Callable[[], None]], Recording],
    ) -> None:
        self.model = model
        self.places = [(parameter, parameter.data_ptr()) for parameter in model.parameters()]
        self.ids = ids.clone()
        self.before = [tensor.clone() for tensor in _tensors(cache)]
        self.behind = None if cache.local.behind is None else cache.local.behind.clone()
        self.hidden = self.ids
        self.after: list[Tensor] = []
        self.after_behind: Tensor | None = None
        self.recording = record(self._run)

    def _run(self) -> None:
        cache = new_cache(self.model)
        # What is recorded is a segment of its own, and no text's first.
        cache.beginning = None
        _put(cache, self.before, self.behind)
        self.hidden = self.model.get_decoder()(input_ids=self.ids, past_key_values=cache).last_hidden_state
        self.after, self.after_behind = _tensors(cache), cache.local.behind

    @property
    def in_place(self) -> bool:
        """Whether the weights stand where they stood: a model that was moved away and back has left the recording."""
        return all(parameter.data_ptr() == place for parameter, place in self.places)

    def read(self, cache: InfiniCache, ids: Tensor) -> Tensor:
        """Reads a segment into a cache.

        Returns:
            ``[B, T, C]``, the last hidden states.
        """
        self.ids.copy_(ids)
        torch._foreach_copy_(self.before, _tensors(cache))
        if self.behind is not None:
            assert cache.local.behind is not None
            self.behind.copy_(cache.local.behind)
        self.recording.replay()
        # What was recorded stands in one place, and is overwritten by the next segment.
        behind = None if self.after_behind is None else self.after_behind.clone()
        _put(cache, [tensor.clone() for tensor in self.after], behind)
        cache.tokens += ids.shape[1]
        cache.segments += 1
        return self.hidden.clone()


def read_segment(model: PreTrainedModel, cache: InfiniCache, ids: Tensor) -> Tensor:
    """Reads a segment, or a part of one, into a cache: from a recording where one fits, else kernel by kernel.

    Args:
        model: a language model with a memory path.
        cache: of what was read before, with room for the ids in its open segment.
        ids: ``[B, T]``.

    Returns:
        ``[B, T, C]``, the decoder's last hidden states.
    """
    graph = segment_graph(model, cache, ids)
    if graph is not None:
        return graph.read(cache, ids)
    return cast(Tensor, model.get_decoder()(input_ids=ids, past_key_values=cache).last_hidden_state)


def segment_graph(model: PreTrainedModel, cache: InfiniCache, ids: Tensor) -> SegmentGraph | None:
    """A recording that reads these ids into this cache; ``None`` where they have to be read kernel by kernel."""
    record = injection(model)
    if record is None or not _on_cuda(ids) or torch.is_grad_enabled() or cache.open_tokens:
        return None
    if ids.shape[1] != cache.config.segment_length or cache.config != record.config:
        return None
    memories = [layer.memory for layer in cache.memories.values()]
    if any(memory is None for memory in memories):
        return None
    # Hooks, such as those of a measurement or of offloading, are Python.
    hooked = any(path._forward_hooks or path._forward_pre_hooks for path in memory_paths(model).values())
    if hooked or hasattr(model, "_hf_hook"):
        return None
    key = (len(ids), ids.device)
    seen = record.graphs.get(key, 0)
    if isinstance(seen, SegmentGraph):
        if seen.in_place:
            return seen
        seen = FIRST
    if seen < FIRST:
        record.graphs[key] = seen + 1
        return None
    if len({parameter.device for parameter in model.parameters()}) > 1:
        return None
    record.graphs[key] = SegmentGraph(model, cache, ids, recorder())
    return cast(SegmentGraph, record.graphs[key])


def _on_cuda(ids: Tensor) -> bool:
    return ids.is_cuda


def _tensors(cache: InfiniCache) -> list[Tensor]:
    packs = [layer.memory for layer in cache.memories.values() if layer.memory is not None]
    return [tensor for pack in packs for tensor in pack if tensor is not None]


def _put(cache: InfiniCache, tensors: list[Tensor], behind: Tensor | None) -> None:
    has_norm = cache.config.update_rule != "deltanet"
    rest = iter(tensors)
    for layer in cache.memories.values():
        layer.memory = Memory(next(rest), next(rest) if has_norm else None)
    cache.local = OpenSegment(cache.base_config, behind)
