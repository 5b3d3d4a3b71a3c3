"""Infini-attention for Hugging Face decoders: a compressive memory beside local attention.

    from infini_attention import load

    model = load("smollm2-135m")
    book = model.read(text)
    print(model.answer(book, "Who finds the letter?"))

The implementation follows *Leave No Context Behind* (arXiv 2404.07143) and adds the gated delta rule.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import DeviceUnavailable, InfiniError, ModelUnavailable, StateError
    from .memory.config import InfiniConfig
    from .memory.engine import Engine
    from .memory.inject import eject, inject, memory_off, new_cache
    from .memory.state import MemoryState, Origin, Source
    from .model.loading import Loaded, load

__version__ = "0.1.0"

# Where each public name is defined. It is imported when it is first used: torch alone takes seconds.
_HOMES = {
    "DeviceUnavailable": "errors",
    "Engine": "memory.engine",
    "InfiniConfig": "memory.config",
    "InfiniError": "errors",
    "Loaded": "model.loading",
    "MemoryState": "memory.state",
    "ModelUnavailable": "errors",
    "Origin": "memory.state",
    "Source": "memory.state",
    "StateError": "errors",
    "eject": "memory.inject",
    "inject": "memory.inject",
    "load": "model.loading",
    "memory_off": "memory.inject",
    "new_cache": "memory.inject",
}

__all__ = [
    "DeviceUnavailable",
    "Engine",
    "InfiniConfig",
    "InfiniError",
    "Loaded",
    "MemoryState",
    "ModelUnavailable",
    "Origin",
    "Source",
    "StateError",
    "__version__",
    "eject",
    "inject",
    "load",
    "memory_off",
    "new_cache",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
