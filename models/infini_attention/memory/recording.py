"""Work on a GPU that is recorded once and started at once ever after: CUDA graphs.

Started kernel by kernel, by Python, a small model leaves a GPU idle for most of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch


class Recording(Protocol):
    """Work that was recorded, and can be done again."""

    def replay(self) -> None:
        """Does it again; what it gave and what it changed stand where they stood."""


class CudaRecording:
    """Recorded as a CUDA graph.

    Args:
        work: only starts kernels, and waits for none. It is not done yet when it was recorded.
        pool: graphs that share it share the memory of what they compute on the way.
    """

    def __init__(self, work: Callable[[], None], pool: Any) -> None:
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=pool):
            work()

    def replay(self) -> None:
        """See ``Recording``."""
        self.graph.replay()


def recorder() -> Callable[[Callable[[], None]], CudaRecording]:
    """Records work as CUDA graphs that share their memory: one is replayed at a time."""
    pool = torch.cuda.graph_pool_handle()
    return lambda work: CudaRecording(work, pool)
