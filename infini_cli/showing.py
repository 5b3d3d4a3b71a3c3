"""What a state has read and how full its memories are: as figures, as lines, and drawn on a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from infini_cli.exits import one_line
from infini_cli.opening import open_state
from infini_cli.output import rich_console
from infini_cli.terminal import is_terminal

if TYPE_CHECKING:
    from infini_attention import MemoryState
    from infini_attention.text.notes import SourceNotes

# What is told of the memories, and in which words.
MAPS = {"strength": "norm of M over the largest", "fullness": "share of its directions in use"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN_BLOCKS = ".:-=+*#@"
_STRONGEST = 3


def facts(path: Path) -> dict[str, Any]:
    """What there is to know of a saved state, as plain JSON values.

    Raises:
        StateError: If there is none, or it is damaged.
    """
    state = open_state(path)
    header = state.header()
    value = {"file": str(path), "bytes": path.stat().st_size, "memory_bytes": state.memory_bytes}
    value["encrypted"] = state.cipher is not None
    value |= {key: header[key] for key in ("format", "version", "origin", "tokens", "segments")}
    waiting = len(state.tensors["open_ids"])
    spans = _spans([source.tokens for source in state.sources], state, waiting)
    return {
        **value,
        "open_tokens": waiting,
        "sources": [{**source, "segments": span} for source, span in zip(header["sources"], spans, strict=True)],
        "memories": _memories(state),
        "digest": header["digest"],
    }


def notes_of(path: Path) -> list[SourceNotes]:
    """The notes that a state carries; none where it has none.

    Raises:
        StateError: If there is no state, or it is damaged.
    """
    from infini_attention.text.notes import ATTACHMENT, unpack

    attachments = open_state(path).attachments
    return unpack(attachments[ATTACHMENT]) if ATTACHMENT in attachments else []


def maps(value: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """Figures between 0 and 1, a row for each layer and a column for each head, by the names in `MAPS`."""
    layers = value["memories"]
    largest = max((norm for layer in layers for norm in layer["norm"]), default=0) or 1
    return {
        "strength": [[norm / largest for norm in layer["norm"]] for layer in layers],
        "fullness": [layer["fullness"] for layer in layers],
    }


def write(value: Mapping[str, Any], out: IO[str], *, details: bool) -> None:
    """Facts as text: drawn on a terminal, plain lines elsewhere.

    Args:
        value: What `facts` gave.
        out: Where to.
        details: Whether checksums and fingerprints are of interest.
    """
    origin, drawn = value["origin"], is_terminal(out)
    out.write(f"file: {one_line(value['file'])}, {value['bytes']:,} bytes, memories {value['memory_bytes']:,} bytes\n")
    if value["encrypted"]:
        out.write("encrypted with a passphrase\n")
    out.write(f"model: {one_line(origin['model'])}\n")
    out.write(
        f"read: {value['tokens']:,} tokens, {value['segments']:,} segments closed, "
        f"{value['open_tokens']:,} tokens in the open one\n"
    )
    if drawn and value["sources"]:
        _draw_sources(value["sources"], out)
    for source in value["sources"]:
        if not drawn:
            out.write(f"source: {', '.join(_of_source(source))}\n")
        if details:
            name = f"{one_line(source['name'])}: " if drawn else ""
            out.write(f"  {name}sha256 {source['sha256']}, by {one_line(source['extractor'])}\n")
    _write_memories(value, out, drawn=drawn)
    if details:
        for part in ("base", "adapter", "config"):
            out.write(f"{part}: {one_line(origin[part])}\n")
        out.write(f"digest: {value['digest']}\n")


def _spans(tokens: Sequence[int], state: MemoryState, waiting: int) -> list[list[int] | None]:
    """First and last segment of each source, counted from 1; None where more was read than the sources tell of."""
    if sum(tokens) != state.tokens:
        return [None] * len(tokens)
    # Everything is still in the first segment while none is closed.
    length = (state.tokens - waiting) // state.segments if state.segments else state.tokens + 1
    ends = itertools.accumulate(tokens)
    return [[(end - count) // length + 1, (end - 1) // length + 1] for end, count in zip(ends, tokens, strict=True)]


def _memories(state: MemoryState) -> list[dict[str, Any]]:
    from infini_attention.memory.occupancy import occupancy

    held = occupancy(state)
    return [
        {
            "layer": layer,
            "norm": [round(norm, 6) for norm in held.norms[row].tolist()],
            "fullness": [round(share, 6) for share in held.fullness[row].tolist()],
        }
        for row, layer in enumerate(held.layers)
    ]


def _of_source(source: Mapping[str, Any]) -> Iterator[str]:
    yield f"{one_line(source['name'])} ({one_line(source['kind'])})"
    if source["pages"] is not None:
        yield f"{source['pages']:,} pages"
    yield f"{source['tokens']:,} tokens"
    if source["segments"] is not None:
        yield f"segments {_span(source)}"


def _span(source: Mapping[str, Any]) -> str:
    first, last = source["segments"]
    return f"{first:,}" if first == last else f"{first:,}-{last:,}"


def _draw_sources(sources: Sequence[Mapping[str, Any]], out: IO[str]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE)
    # Long names are folded: nothing of them is cut.
    table.add_column("source", overflow="fold")
    table.add_column("kind", no_wrap=True)
    for name in ("pages", "tokens", "segments"):
        table.add_column(name, justify="right", no_wrap=True)
    for source in sources:
        pages = "" if source["pages"] is None else f"{source['pages']:,}"
        span = "" if source["segments"] is None else _span(source)
        table.add_row(
            Text(one_line(source["name"])), Text(one_line(source["kind"])), pages, f"{source['tokens']:,}", span
        )
    rich_console(out).print(table)


def _write_memories(value: Mapping[str, Any], out: IO[str], *, drawn: bool) -> None:
    layers = value["memories"]
    if not layers:
        out.write("memory: empty, because no segment is closed yet\n")
        return
    found = maps(value)
    shares = [share for row in found["fullness"] for share in row]
    heads = len(layers[0]["norm"])
    out.write(f"memory: {len(layers)} layers of {heads} heads, {sum(shares) / len(shares):.0%} full on average\n")
    norms = ((norm, layer["layer"], head) for layer in layers for head, norm in enumerate(layer["norm"]))
    strongest = sorted(norms, key=lambda one: -one[0])[:_STRONGEST]
    told = (f"layer {layer} head {head} (norm {norm:.1f})" for norm, layer, head in strongest)
    out.write(f"strongest: {', '.join(told)}\n")
    if drawn:
        _draw_memories(layers, found, out)
        return
    for number, layer in enumerate(layers):
        figures = (f"{name} {' '.join(f'{figure:.3f}' for figure in rows[number])}" for name, rows in found.items())
        out.write(f"layer {layer['layer']}: {'; '.join(figures)}\n")


def _draw_memories(layers: Sequence[Mapping[str, Any]], found: Mapping[str, list[list[float]]], out: IO[str]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    console = rich_console(out)
    blocks = _PLAIN_BLOCKS if console.options.ascii_only else _BLOCKS
    table = Table(box=SIMPLE)
    table.add_column("layer", justify="right")
    for name in found:
        table.add_column(name, overflow="fold")
    for number, layer in enumerate(layers):
        cells = ("".join(_block(figure, blocks) for figure in rows[number]) for rows in found.values())
        table.add_row(str(layer["layer"]), *cells)
    console.print(table)
    out.write(
        "".join(f"{name}: {MAPS[name]}, from {blocks[0]} (0) to {blocks[-1]} (1); a head each\n" for name in found)
    )


def _block(figure: float, blocks: str) -> str:
    return blocks[min(len(blocks) - 1, int(figure * len(blocks)))]
