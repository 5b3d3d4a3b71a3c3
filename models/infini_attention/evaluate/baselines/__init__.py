"""Systems to compare memory with, on the same base (the paper's Table 2)."""

from __future__ import annotations

from ...memory.engine import Engine
from ...model.loading import Loaded
from .neighbours import Neighbours
from .plain import PlainReader, require_plain_positions
from .recurrent import NAME as RECURRENT
from .recurrent import Recurrent, load_recurrent
from .sliding import SlidingCache

SYSTEMS = ("memory", "local", "full", "window", "sinks", "knn", RECURRENT)
SINKS = 4


def system(loaded: Loaded, name: str) -> Engine | PlainReader:
    """One of ``SYSTEMS``.

    Args:
        loaded: the model.
        name: ``memory``, the model as it is; ``local``, its segments alone; the others see ``sliding``,
            ``neighbours`` and ``recurrent``.

    Raises:
        ValueError: there is no such system.
        InfiniError: the base's positions are of a kind that the baseline cannot handle, or it has to be trained first.
    """
    length = loaded.config.segment_length
    if name in ("memory", "local"):
        return loaded.engine(use_memory=name == "memory")
    if name == RECURRENT:
        # The cache of this system lasts for one segment only, so that it needs no positions of its own.
        return Recurrent(load_recurrent(loaded.model, loaded.recipe.folder, loaded.recipe.name), length)
    if name in SYSTEMS:
        require_plain_positions(loaded.model)
    if name == "full":
        # Room for a segment is left, so that nothing is ever read beyond what the base was trained for.
        context = int(loaded.model.config.get_text_config().max_position_embeddings)
        return SlidingCache(loaded.model, length, max(length, context - length))
    if name in ("window", "sinks"):
        return SlidingCache(loaded.model, length, length, SINKS if name == "sinks" else 0)
    if name == "knn":
        return Neighbours(loaded.model, length)
    raise ValueError(f"unknown system {name!r}; known are {', '.join(SYSTEMS)}")
