"""``model.generate`` of a model with a memory path: it makes the cache itself where none is given."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel

from ..errors import UseError
from .cache import InfiniCache

HOOK = "_prepare_cache_for_generation"


class GenerationCache:
    """Stands in the place of the method with which ``generate`` makes its cache.

    Args:
        model: which generates.
        decoder: whose ``infini`` is the record of its memory path.
    """

    def __init__(self, model: PreTrainedModel, decoder: Any) -> None:
        self.model, self.decoder = model, decoder

    def __call__(self, generation_config: Any, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """See transformers' own method.

        Raises:
            UseError: another kind of cache is asked for.
        """
        record = self.decoder.infini
        given = model_kwargs.get("past_key_values")
        if record.here.enabled and given is None and generation_config.use_cache is not False:
            if kind := generation_config.cache_implementation:
                raise UseError(
                    f"a model with a memory path keeps no cache of the kind {kind!r}",
                    "leave cache_implementation out: its own cache has the size of a segment",
                )
            given = model_kwargs["past_key_values"] = InfiniCache(self.decoder.config, record.config)
            if generation_config.is_assistant:
                given.activate_past_recording()
            return
        getattr(type(self.model), HOOK)(self.model, generation_config, model_kwargs, *args, **kwargs)


def put_in(model: Any, decoder: Any) -> PreTrainedModel | None:
    """Has a model that generates make caches of ours; what it is put into, which may be wrapped in ``model``."""
    method = getattr(model, HOOK, None)
    owner = getattr(method, "__self__", None)
    if isinstance(owner, PreTrainedModel):
        setattr(owner, HOOK, GenerationCache(owner, decoder))
        return owner
    return None


def take_out(model: Any) -> None:
    """Undoes ``put_in``."""
    method = getattr(model, HOOK, None)
    if isinstance(method, GenerationCache):
        delattr(method.model, HOOK)
