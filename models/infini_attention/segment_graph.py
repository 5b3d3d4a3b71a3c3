"""Reading a whole segment as a CUDA graph: token ids and memories in, memories out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .cache import InfiniCache, OpenSegment
from .inject import injection, memory_paths, memory_shard, new_cache
from .memory import Memory
from .recording import Recording, recorder

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
        self.ids = ids.clone()
        self.before = [tensor.clone() for tensor in _tensors(cache)]
        self.behind = None if cache.local.behind is None else cache.local.behind.clone()
        self.hidden = self.after_behind = self.ids
        self.after: list[Tensor] = []
        self.recording = record(self._run)

    def _run(self) -> None:
        cache = new_cache(self.model)
        _put(cache, self.before, self.behind)
        self.hidden = self.model.get_decoder()(input_ids=self.ids, past_key_values=cache).last_hidden_state
        self.after = _tensors(cache)
        if cache.local.behind is not None:
            self.after_behind = cache.local.behind

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
        _put(
            cache, [tensor.clone() for tensor in self.after], None if self.behind is None else self.after_behind.clone()
        )
        cache.tokens += ids.shape[1]
        cache.segments += 1
        return self.hidden.clone()


def segment_graph(model: PreTrainedModel, cache: InfiniCache, ids: Tensor) -> SegmentGraph | None:
    """A recording that reads these ids into this cache; ``None`` where they have to be read kernel by kernel."""
    record = injection(model)
    if record is None or not ids.is_cuda or torch.is_grad_enabled() or cache.open_tokens:
        return None
    if ids.shape[1] != cache.config.segment_length or cache.config != record.config:
        return None
    memories = [layer.memory for layer in cache.memories.values()]
    if any(memory is None for memory in memories) or memory_shard(model).size > 1:
        return None
    devices = {parameter.device for parameter in model.parameters()}
    # Hooks, such as those of a measurement or of offloading, are Python.
    hooked = any(path._forward_hooks or path._forward_pre_hooks for path in memory_paths(model).values())
    if len(devices) > 1 or hooked or hasattr(model, "_hf_hook"):
        return None
    record.whole_segments += 1
    key = (len(ids), ids.device)
    if key not in record.graphs and record.whole_segments > FIRST:
        record.graphs[key] = SegmentGraph(model, cache, ids, recorder())
    found = record.graphs.get(key)
    assert found is None or isinstance(found, SegmentGraph)
    return found


def _tensors(cache: InfiniCache) -> list[Tensor]:
    packs = [layer.memory for layer in cache.memories.values() if layer.memory is not None]
    return [tensor for pack in packs for tensor in pack if tensor is not None]


def _put(cache: InfiniCache, tensors: list[Tensor], behind: Tensor | None) -> None:
    has_norm = cache.config.update_rule != "deltanet"
    rest = iter(tensors)
    for layer in cache.memories.values():
        layer.memory = Memory(next(rest), next(rest) if has_norm else None)
    cache.local = OpenSegment(cache.base_config, cache.memories, behind)
