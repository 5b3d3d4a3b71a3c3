"""The record that a decoder keeps of its memory path."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

from . import attention_function
from .config import InfiniConfig
from .ngrams import TokenSigns
from .tap import Here, Tap


@dataclasses.dataclass
class Injection:
    """The record that a decoder keeps of its memory path.

    Attributes:
        config: configuration of the path.
        base_attention: the base's attention implementation.
        signs: of tokens, where the path sees them.
        taps: of the layers that have a memory.
        frozen: names of the base's parameters that could be trained before.
        here: what each thread is doing with the model.
        lock: held while a text goes through: adapters and recordings are the model's, and threads share it.
        graphs: recordings of whole segments by kind, or how many of a kind were read without one (see ``segment_graph``).
    """

    config: InfiniConfig
    base_attention: str
    signs: TokenSigns | None = None
    taps: dict[int, Tap] = dataclasses.field(default_factory=dict)
    frozen: list[str] = dataclasses.field(default_factory=list)
    here: Here = dataclasses.field(default_factory=Here)
    lock: Any = dataclasses.field(default_factory=threading.RLock)
    graphs: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @property
    def enabled(self) -> bool:
        """Whether the memory plays a part in this thread."""
        return self.here.enabled

    def __getstate__(self) -> dict[str, Any]:
        # Threads and recordings belong to one model in one process; copies have their own.
        left_out = {"lock", "graphs"}
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock, self.graphs = threading.RLock(), {}
        # In a process that has read the model from a file, nothing was injected yet.
        attention_function.registered(self.base_attention)
