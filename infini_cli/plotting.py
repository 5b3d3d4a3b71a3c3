"""Measurements as images; matplotlib is an extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infini_attention.errors import InfiniError, UsageFailure
from infini_attention.files import atomic_writer, require_writable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What a line runs over, best first, and its words.
_ACROSS = {"length": "length, tokens", "to": "tokens before, up to", "share": "share of the text read, %"}
SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Refuse, before a long test, an image that could not be drawn after it.

    Raises:
        UsageFailure: If the name's ending is not that of an image.
        InfiniError: If matplotlib is not installed, or it could not be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageFailure(f"{path} is not the name of an image", f"End it with {', '.join(SUFFIXES)}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InfiniError("--plot needs matplotlib, which is not installed", "pip install 'infini[plot]'") from None
    require_writable(path)


def draw_grid(path: Path, cells: Sequence[Mapping[str, Any]], *, title: str, unit: str) -> None:
    """Write a heat map of scores, depth by length, in percent; see `draw_lines`."""
    from matplotlib.figure import Figure

    lengths = list(dict.fromkeys(cell["length"] for cell in cells))
    depths = list(dict.fromkeys(cell["depth"] for cell in cells))
    scores = {(cell["length"], cell["depth"]): cell["score"] for cell in cells}
    figure = Figure(figsize=(2.5 + 0.9 * len(lengths), 1.8 + 0.5 * len(depths)), layout="constrained")
    axes = figure.add_subplot()
    values = [[100 * scores[length, depth] for length in lengths] for depth in depths]
    image = axes.imshow(values, vmin=0, vmax=100, cmap="RdYlGn", aspect="auto")
    axes.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths])
    axes.set_yticks(range(len(depths)), [f"{depth:g}%" for depth in depths])
    axes.set_xlabel("length, tokens")
    axes.set_ylabel("depth of the key")
    axes.set_title(title)
    for row, shares in enumerate(values):
        for column, share in enumerate(shares):
            axes.text(column, row, f"{share:.0f}", ha="center", va="center")
    figure.colorbar(image, label=f"{unit}, %")
    _save(figure, path)


def draw_lines(path: Path, cells: Sequence[Mapping[str, Any]], *, title: str, unit: str) -> None:
    """Write scores with their confidence intervals, over the length or share or position that the cells differ in.

    Args:
        path: The image.
        cells: Rows of a report; those that agree in all other labels make a line.
        title: Above the figure.
        unit: What a score is.
    """
    from matplotlib.figure import Figure

    labels = [name for name in cells[0] if name not in ("trials", "score", "low", "high")]
    across = next((name for name in _ACROSS if name in labels), labels[0])
    others = [name for name in labels if name not in (across, "from")]
    places = list(dict.fromkeys(cell[across] for cell in cells))
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    for name in dict.fromkeys(tuple(cell[other] for other in others) for cell in cells):
        line = [cell for cell in cells if tuple(cell[other] for other in others) == name]
        means = [cell["score"] for cell in line]
        spread = [
            [0.0 if cell["low"] is None else max(0.0, cell["score"] - cell["low"]) for cell in line],
            [0.0 if cell["high"] is None else max(0.0, cell["high"] - cell["score"]) for cell in line],
        ]
        told = ", ".join(f"{other} {value}" for other, value in zip(others, name, strict=True))
        axes.errorbar([places.index(cell[across]) for cell in line], means, spread, marker="o", capsize=3, label=told)
    axes.set_xticks(range(len(places)), [f"{place:,}" if isinstance(place, int) else str(place) for place in places])
    axes.set_xlabel(_ACROSS.get(across, across))
    axes.set_ylabel(unit)
    axes.set_title(title)
    if others:
        axes.legend()
    _save(figure, path)


def draw_heads(path: Path, maps: Mapping[str, Sequence[Sequence[float]]], layers: Sequence[int], *, title: str) -> None:
    """Write maps of figures between 0 and 1, side by side, a row for each layer and a column for each head.

    Args:
        path: The image.
        maps: What a figure is, to a row of heads for each layer.
        layers: Numbers of the layers.
        title: Above the figure.
    """
    from matplotlib.figure import Figure

    heads = [len(rows[0]) for rows in maps.values()]
    figure = Figure(figsize=(sum(2.5 + 0.35 * count for count in heads), 1.5 + 0.2 * len(layers)), layout="constrained")
    for axes, (unit, rows) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True):
        image = axes.imshow(rows, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        axes.set_xticks(range(len(rows[0])))
        axes.set_yticks(range(len(layers)), [str(layer) for layer in layers])
        axes.set_xlabel("head")
        axes.set_ylabel("layer")
        figure.colorbar(image, label=unit)
    figure.suptitle(title)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    buffer = BytesIO()
    figure.savefig(buffer, format=path.suffix[1:].lower(), dpi=150)
    with atomic_writer(path, binary=True) as file:
        file.write(buffer.getvalue())
