"""One piece of a text on its way through the decoder: what each layer finds, and what it leaves."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from .layer_memory import LayerMemory
from .open_segment import SeenSigns


class Reading:
    """What layers read and write while a piece goes through; a cache takes it over when all of them are done.

    Args:
        layers: memories of the layers, which stay as they are.
        seen: signs of the piece's tokens.
    """

    def __init__(self, layers: Mapping[int, LayerMemory], seen: SeenSigns) -> None:
        self.found = {index: layer.visited() for index, layer in layers.items()}
        self.layers = {index: layer.visited() for index, layer in self.found.items()}
        self.seen = seen
        # Inputs and projections of attention layers that are being computed.
        self.caught: dict[int, dict[str, Tensor]] = {}

    def again(self) -> Reading:
        """The same piece with nothing read yet: for layers that are computed once more on the way back."""
        return Reading(self.found, self.seen)

    def left_out(self) -> list[int]:
        """Layers that the piece did not go through exactly once."""
        return [index for index, layer in self.layers.items() if len(layer.pending) != 1]
