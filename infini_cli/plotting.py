"""The passkey grid as an image; matplotlib is an extra."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from infini_cli.errors import CliError, UsageFailure
from infini_cli.output import atomic_writer

if TYPE_CHECKING:
    from infini_attention.evaluation.passkey import Cell

SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Refuse, before a long test, an image that could not be drawn after it.

    Raises:
        UsageFailure: If the name's ending is not that of an image.
        CliError: If matplotlib is not installed, or the folder does not exist.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageFailure(f"{path} is not the name of an image", f"End it with {', '.join(SUFFIXES)}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise CliError("--plot needs matplotlib, which is not installed", "pip install 'infini[plot]'") from None
    if not path.parent.is_dir():
        raise CliError(f"the directory {path.parent} does not exist", f"Make it first: mkdir -p {path.parent}")


def draw_grid(path: Path, cells: list[Cell], title: str) -> None:
    """Write a heat map, depth by length, of the share of exact answers."""
    from matplotlib.figure import Figure

    lengths = list(dict.fromkeys(cell.length for cell in cells))
    depths = list(dict.fromkeys(cell.depth for cell in cells))
    exact = {(cell.length, cell.depth): cell.exact for cell in cells}
    figure = Figure(figsize=(2.5 + 0.9 * len(lengths), 1.8 + 0.5 * len(depths)), layout="constrained")
    axes = figure.add_subplot()
    values = [[100 * exact[length, depth] for length in lengths] for depth in depths]
    image = axes.imshow(values, vmin=0, vmax=100, cmap="RdYlGn", aspect="auto")
    axes.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths])
    axes.set_yticks(range(len(depths)), [f"{depth:g}%" for depth in depths])
    axes.set_xlabel("length, tokens")
    axes.set_ylabel("depth of the key")
    axes.set_title(title)
    for row, shares in enumerate(values):
        for column, share in enumerate(shares):
            axes.text(column, row, f"{share:.0f}", ha="center", va="center")
    figure.colorbar(image, label="exact match, %")
    buffer = BytesIO()
    figure.savefig(buffer, format=path.suffix[1:].lower(), dpi=150)
    with atomic_writer(path, binary=True) as file:
        file.write(buffer.getvalue())
