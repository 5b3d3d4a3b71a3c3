"""The forward of a decoder with a memory path: the text goes through it one segment at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UseError
from . import checkpointing, outputs
from .cache import InfiniCache, shared_copy
from .layout import layers_of
from .open_segment import SeenSigns
from .reading import Reading
from .requirements import (
    per_token,
    refuse_own_cache,
    refuse_packing,
    refuse_padding,
    require_own_cache,
    require_tokens,
)


class SegmentedForward:
    """Stands in the place of a decoder's forward, and runs it once for each piece that fits into the open segment.

    Args:
        decoder: whose ``infini`` is the record of its memory path.

    It is an object and no closure, so that copies of a model have their own.
    """

    def __init__(self, decoder: Any) -> None:
        self.decoder = decoder
        # What a wrapper such as accelerate's put there; the class's own forward can be looked up, and copied with its model.
        own = decoder.__dict__.get("forward")
        self.wrapped = own

    # Where a text is cut depends on what was read before, which no graph can hold.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self,
        input_ids: Tensor | None = None,
        *,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """See the decoder's own forward.

        Raises:
            UseError: the input cannot be read into a memory as it is meant.
        """
        record = self.decoder.infini
        if not record.here.enabled:
            refuse_own_cache(past_key_values)
            return self._own(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                inputs_embeds=inputs_embeds,
                use_cache=use_cache,
                **kwargs,
            )
        whole = require_tokens(input_ids, inputs_embeds)
        require_own_cache(past_key_values)
        refuse_padding(attention_mask)
        cache = InfiniCache(self.decoder.config, record.config) if past_key_values is None else past_key_values
        refuse_packing(position_ids, cache.tokens, kwargs)
        kwargs.pop("cache_position", None)
        return_dict = kwargs.pop("return_dict", None)
        checkpointed = checkpointing.in_use(self.decoder, layers_of(self.decoder))
        if use_cache is None:
            use_cache = getattr(self.decoder.config, "use_cache", False)
        kept = past_key_values is not None or (use_cache and not checkpointed)
        name = "input_ids" if inputs_embeds is None else "inputs_embeds"
        with record.lock, _whole_or_not(cache, whole.shape[1]):
            output = self._read(whole, name, cache, kwargs, checkpointed)
        output.past_key_values = cache if kept else None
        return output.to_tuple() if return_dict is False else output

    def _own(self, **kwargs: Any) -> Any:
        if self.wrapped is not None:
            return self.wrapped(**kwargs)
        return type(self.decoder).forward(self.decoder, **kwargs)

    def _read(self, whole: Tensor, name: str, cache: InfiniCache, kwargs: dict[str, Any], checkpointed: bool) -> Any:
        cut = per_token(kwargs, tuple(whole.shape[:2]), cache.beginning is not None)
        found, start = [], 0
        while start < whole.shape[1]:
            piece = whole[:, start : start + cache.room]
            stop = start + piece.shape[1]
            own = {key: value[:, start:stop] if key in cut else value for key, value in kwargs.items()}
            found.append(self._piece(piece, name, cache, own, checkpointed))
            if (again := cache.begin_again()) is not None:
                self._piece(again, name, cache, own, checkpointed)
            start = stop
        return outputs.joined(found, len(whole))

    def _piece(self, piece: Tensor, name: str, cache: InfiniCache, kwargs: dict[str, Any], checkpointed: bool) -> Any:
        """Reads what fits into the open segment, or leaves the cache as it was."""
        record = self.decoder.infini
        if cache.open_tokens:
            cache.require_keys()
            if checkpointed:
                raise UseError(
                    "gradient checkpointing reads segments from their beginning, and tokens wait in the open one",
                    "close the segment first: cache.close_segment(), or switch checkpointing off",
                )
        before = shared_copy(cache.local)
        # Positions act within a segment only, so they count from its start.
        positions = torch.arange(cache.open_tokens, cache.open_tokens + piece.shape[1], device=piece.device)
        reading = Reading(cache.memories, self._signs(piece, name, cache))
        record.here.reading = reading
        layers: Any = layers_of(self.decoder)
        try:
            with checkpointing.remembered(layers, record.here) if checkpointed else contextlib.nullcontext():
                output = self._own(
                    **{name: piece},
                    position_ids=positions[None],
                    past_key_values=None if checkpointed else cache.local,
                    use_cache=not checkpointed,
                    **kwargs,
                )
            if left_out := reading.left_out():
                raise UseError(
                    f"layer {left_out[0]}'s attention did not pass its memory once: it was changed after inject",
                    "eject the memory, make the change, and inject it again",
                )
        except BaseException:
            cache.local = before
            raise
        finally:
            record.here.reading = None
        cache.take(reading, piece)
        return output

    def _signs(self, piece: Tensor, name: str, cache: InfiniCache) -> SeenSigns:
        record = self.decoder.infini
        if record.signs is None:
            return SeenSigns()
        embed: nn.Module = self.decoder.get_input_embeddings()
        embedded = embed(piece) if name == "input_ids" else piece
        return cache.local.see(record.signs(embedded), record.config.ngrams)


@contextlib.contextmanager
def _whole_or_not(cache: InfiniCache, tokens: int) -> Iterator[None]:
    """Inside, so many tokens are read into a cache; if that fails, none are."""
    # What fits into the open segment is one piece.
    before = cache.fork() if tokens >= cache.room else None
    try:
        yield
    except BaseException:
        if before is not None:
            cache.become(before)
        raise
