"""What a part of the torture found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Result:
    """What was tried, and what came of it.

    Attributes:
        part: Its name.
        tried: How many were tried.
        of: What they are.
        figures: What was counted or measured.
        faults: A text for everything that went wrong.
        seconds: How long it took.
    """

    part: str
    tried: int
    of: str
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def value(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def row(self) -> str:
        """A row of a Markdown table."""
        figures = ", ".join(f"{name} {_told(value)}" for name, value in self.figures.items())
        return f"| {self.part} | {self.tried:,} {self.of} | {figures} | {len(self.faults)} |"

    def count(self, name: str) -> None:
        """One more of a kind."""
        self.figures[name] = self.figures.get(name, 0) + 1


def _told(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
