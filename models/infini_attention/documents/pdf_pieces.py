"""Pieces of a page: letters on one line without a wide gap, that know where they stand and how they are set."""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Piece:
    """Letters that stand beside each other.

    Attributes:
        text: What they say.
        left, right: Where they begin and end along the line, in points.
        base: Height of the line they stand on, in points; larger is higher.
        size: Height of the type, in points.
        bold: Whether they are set in a bold face.
        turn: Quarter turns that the line is rotated by; `left`, `right` and `base` are measured in the turned page.
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    bold: bool = False
    turn: int = 0
