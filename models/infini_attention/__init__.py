"""Infini-attention for Hugging Face decoders: a compressive memory beside local attention.

    from infini_attention import load

    model = load("smollm2-135m")
    book = model.read(text)
    print(model.answer(book, "Who finds the letter?"))

The implementation follows *Leave No Context Behind* (arXiv 2404.07143) and adds the gated delta rule.
"""

from .config import InfiniConfig
from .engine import Engine
from .errors import DeviceUnavailable, InfiniError, ModelUnavailable, StateError
from .inject import eject, inject, memory_off, new_cache
from .loading import Loaded, load
from .state import MemoryState, Origin, Source

__version__ = "0.1.0"

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
