"""Catches an attention layer's projections on their way, and adds to its output what its memory holds."""

from __future__ import annotations

import functools
import threading
from typing import Any, cast

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..errors import UseError
from .layout import Layout
from .path import MemoryPath, Projected
from .reading import Reading


class Here(threading.local):
    """What one thread is doing with a model.

    Attributes:
        reading: the piece that goes through the decoder.
        enabled: whether its memory plays a part.
    """

    reading: Reading | None = None
    enabled: bool = True

    def __reduce__(self) -> tuple[type[Here], tuple[()]]:
        # Copies of a model are doing nothing yet.
        return Here, ()


class Tap:
    """Beside one attention layer: from its pre-hook, over its projections, to its attention function.

    Args:
        here: of the model's injection.
        attention: the layer.
        index: of the decoder layer.
        layout: of its projections.

    What stands in the layer is looked up whenever it is called: adapters take the places of projections, and go again.
    """

    def __init__(self, here: Here, attention: nn.Module, index: int, layout: Layout) -> None:
        self.here, self.attention, self.index, self.layout = here, attention, index, layout
        self.checked = False
        self.hooked: dict[str, tuple[nn.Module, RemovableHandle]] = {}
        self.entrance = attention.register_forward_pre_hook(self._enter, with_kwargs=True)

    @property
    def path(self) -> MemoryPath:
        """The memory path in use: its own, or what an adapter of peft trains in its place."""
        path = self.attention.infini
        if isinstance(path, MemoryPath):
            return path
        wrapper = cast(Any, path)
        if wrapper.disable_adapters or not wrapper.active_adapters:
            return cast(MemoryPath, wrapper.original_module)
        return cast(MemoryPath, wrapper.modules_to_save[wrapper.active_adapters[0]])

    def remove(self) -> None:
        """Takes all hooks out."""
        self.entrance.remove()
        for _, handle in self.hooked.values():
            handle.remove()

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        reading = self.here.reading
        if reading is None or self.index not in reading.layers:
            return
        for name in self.layout.projections:
            projection = cast(nn.Module, getattr(module, name))
            before = self.hooked.get(name)
            if before is None or before[0] is not projection:
                if before is not None:
                    before[1].remove()
                handle = projection.register_forward_hook(functools.partial(self._catch, name))
                self.hooked[name] = projection, handle
                self.checked = False
        reading.caught[self.index] = {"hidden": args[0] if args else kwargs["hidden_states"]}

    def _catch(self, name: str, module: nn.Module, args: Any, output: Tensor) -> None:
        reading = self.here.reading
        if reading is not None and self.index in reading.caught:
            reading.caught[self.index][name] = output

    def attend(self, local: Tensor, value: Tensor) -> Tensor:
        """Local attention, ``[B, T, H, D]``, with what the memory holds added to it.

        Args:
            local: what attention within the segment gave.
            value: ``[B, Hkv, S, D]``, the values that it went over.

        Raises:
            UseError: these are not the values that were caught.
        """
        reading = self.here.reading
        caught = None if reading is None else reading.caught.pop(self.index, None)
        if reading is None or caught is None:
            return local
        projected = self.layout.heads(self.attention, caught)
        if not self.checked:
            self._check(projected[2], value)
        inputs = Projected(caught["hidden"], *projected, reading.seen.ngrams, reading.seen.signs)
        return cast(Tensor, self.path(inputs, local, reading.layers[self.index]))

    def _check(self, caught: Tensor, value: Tensor) -> None:
        """Once for each projection that is hooked: what the memory would write is what attention goes over."""
        own = value[:, :, -caught.shape[1] :].transpose(1, 2)
        if own.shape != caught.shape or not bool((own == caught).all()):
            raise UseError(
                f"{type(self.attention).__name__} attends over other values than its projections give",
                "eject the memory: it would remember what this model never sees",
            )
        self.checked = True
