"""What a decoder gives for the segments of a text, as it would give it for the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UseError


def joined(outputs: Sequence[Any], batch: int) -> Any:
    """One output of all pieces of a text.

    Args:
        outputs: of the pieces, in order; ``ModelOutput`` of one kind.
        batch: sequences in each.

    Raises:
        UseError: they have a part that cannot be joined.
    """
    if len(outputs) == 1:
        return outputs[0]
    found: dict[str, Any] = {}
    for name in outputs[0]:
        parts = [output[name] for output in outputs]
        if name == "past_key_values" or parts[0] is None:
            continue
        if name == "last_hidden_state":
            found[name] = torch.cat(parts, 1)
        elif name == "hidden_states":
            found[name] = _by_layer(parts, lambda pieces: torch.cat(pieces, 1))
        elif name == "attentions":
            found[name] = _by_layer(parts, _in_blocks)
        elif name == "router_logits":
            found[name] = _by_layer(parts, lambda pieces: _along_tokens(pieces, batch))
        elif parts[0] not in ((), []):
            raise UseError(
                f"the model's {name} cannot be joined over the segments of a text",
                "read no more than one segment at a time, or do not ask for them",
            )
    return type(outputs[0])(**found)


def _by_layer(parts: Sequence[Any], join: Any) -> tuple[Tensor | None, ...]:
    return tuple(None if layer[0] is None else join(layer) for layer in zip(*parts, strict=True))


def _along_tokens(pieces: Sequence[Tensor], batch: int) -> Tensor:
    """``[B * T, E]`` each, a sequence after the other."""
    return torch.cat([piece.unflatten(0, (batch, -1)) for piece in pieces], 1).flatten(0, 1)


def _in_blocks(pieces: Sequence[Tensor]) -> Tensor:
    """``[B, H, T, S]`` each: no token attends over a border. Keys begin with those of the segment that was open before."""
    width, start, rows = sum(piece.shape[-1] for piece in pieces), 0, []
    for piece in pieces:
        rows.append(F.pad(piece, (start, width - start - piece.shape[-1])))
        start += piece.shape[-1]
    return torch.cat(rows, 2)
