"""Infini-attention for Hugging Face decoders: a compressive memory beside local attention.

    from infini_attention import load

    session = load().read("book.pdf")
    print(session.ask("Who finds the letter?").text)
    print(session.summarize().text)

The implementation follows *Leave No Context Behind* (arXiv 2404.07143) and adds the gated delta rule.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import DeviceUnavailable, InfiniError, ModelUnavailable, StateError, UseError
    from .memory.config import InfiniConfig
    from .memory.engine import Engine
    from .memory.folders import load_adapter, save_adapter
    from .memory.inject import eject, inject, memory_off, new_cache
    from .memory.parameters import memory_parameters
    from .memory.state import MemoryState, Origin, Source
    from .model.loading import Loaded, load_model
    from .qa.answer import Answer
    from .session import Session, load
    from .summary.summarizer import Summary

__version__ = "0.1.0"

# Where each public name is defined. It is imported when it is first used: torch alone takes seconds.
_HOMES = {
    "Answer": "qa.answer",
    "DeviceUnavailable": "errors",
    "Engine": "memory.engine",
    "InfiniConfig": "memory.config",
    "InfiniError": "errors",
    "Loaded": "model.loading",
    "MemoryState": "memory.state",
    "ModelUnavailable": "errors",
    "Origin": "memory.state",
    "Session": "session",
    "Source": "memory.state",
    "StateError": "errors",
    "Summary": "summary.summarizer",
    "UseError": "errors",
    "eject": "memory.inject",
    "inject": "memory.inject",
    "load": "session",
    "load_adapter": "memory.folders",
    "load_model": "model.loading",
    "memory_off": "memory.inject",
    "memory_parameters": "memory.parameters",
    "new_cache": "memory.inject",
    "save_adapter": "memory.folders",
}

__all__ = [
    "Answer",
    "DeviceUnavailable",
    "Engine",
    "InfiniConfig",
    "InfiniError",
    "Loaded",
    "MemoryState",
    "ModelUnavailable",
    "Origin",
    "Session",
    "Source",
    "StateError",
    "Summary",
    "UseError",
    "__version__",
    "eject",
    "inject",
    "load",
    "load_adapter",
    "load_model",
    "memory_off",
    "memory_parameters",
    "new_cache",
    "save_adapter",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
