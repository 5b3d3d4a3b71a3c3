"""`infini passkey-test`: does the memory still know a key after so many tokens?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from infini_attention.errors import UsageFailure

from infini_cli import completion
from infini_cli.commands import options
from infini_cli.output import answer_file, emit_json, write_table
from infini_cli.session import load_model, model_of_state, open_documents, open_state, require_memory

if TYPE_CHECKING:
    from infini_attention.evaluate.passkeys import Cell

_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}
_DEPTHS = {"start": 0.0, "middle": 50.0, "end": 100.0}
_PLACES = {depth: name for name, depth in _DEPTHS.items()}


def passkey_test(
    length: Annotated[
        str, typer.Option("--length", metavar="LIST", help="Tokens of the prompts: 4k is 4,096, 1m is 1,048,576.")
    ] = "4k,8k",
    depth: Annotated[
        str, typer.Option("--depth", metavar="LIST", help="Where the key stands: percent, or start, middle, end.")
    ] = "0,50,100",
    trials: Annotated[int, typer.Option("--trials", metavar="N", min=1, help="Keys drawn for each cell.")] = 10,
    haystack: Annotated[
        str, typer.Option("--haystack", metavar="repeat|FILE", help="The paper's filler, or a document of your own.")
    ] = "repeat",
    memory: Annotated[
        Path | None,
        typer.Option(
            "--memory",
            metavar="STATE",
            help="Plant keys after what this state has read.",
            show_default=False,
            autocompletion=completion.states,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the keys and stretches of hay.")] = 0,
    memory_off: Annotated[
        bool, typer.Option("--memory-off", help="Switch memory off, to see what the open segment alone knows.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw the grid as an image (.png, .svg, .pdf).", show_default=False
        ),
    ] = None,
    output: options.Answer = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    format: options.Format = None,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Hide five-digit keys in long text, read it, and ask for them: exact match by length and depth."""
    run = options.start(model=model, device=device, dtype=dtype, format=format, quiet=quiet, verbose=verbose)
    lengths, depths = parse_lengths(length), parse_depths(depth)
    if memory is not None and memory_off:
        raise UsageFailure("--memory and --memory-off exclude each other", "Keep one of them.")
    if not memory_off and (memory is None or model is not None):
        require_memory(run.settings)
    if plot is not None:
        from infini_cli.plotting import check_plot

        check_plot(plot)
    state = None if memory is None else open_state(memory)
    document = (
        None if haystack == "repeat" else open_documents([haystack], None, run.console, run.settings.pdf_backend)[0]
    )
    name = None if state is None else model_of_state(state, model, run.settings.model)
    loaded = load_model(run.settings, run.console, name)
    hay = None if document is None else loaded.encode(document.text)
    from infini_attention.evaluate.passkeys import run as run_test

    def tell(cell: Cell) -> None:
        run.console.detail(f"{cell.length:,} tokens, depth {cell.depth:g}%: {cell.exact:.0%} of {cell.trials}")

    with run.console.progress(sum(lengths) * len(depths) * trials, "testing") as advance:
        cells = run_test(
            loaded,
            lengths,
            depths,
            trials,
            seed,
            hay=hay,
            state=state,
            use_memory=not memory_off,
            on_cell=tell,
            on_tokens=advance,
        )
    about = {
        "model": loaded.origin.model,
        "haystack": "repeat" if document is None else document.name,
        "memory": not memory_off,
        "tokens_before": 0 if state is None else state.tokens,
        "seed": seed,
    }
    with answer_file(output) as file:
        if run.settings.format == "text":
            _print_table(cells, lengths, depths, trials, file)
        else:
            emit_json(_report(cells, about), file, jsonl=run.settings.format == "jsonl")
    if plot is not None:
        from infini_cli.plotting import draw_grid

        draw_grid(plot, cells, title=f"{about['model']}, {about['haystack']}")


def parse_lengths(text: str, *, least: int = 1) -> list[int]:
    """Numbers of tokens, such as `4k,32k,1m`, each once.

    Raises:
        UsageFailure: If one is not a number, or less than `least`.
    """
    lengths = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([km]?)", part.strip().lower(), re.ASCII)
        tokens = -1 if match is None else round(float(match[1]) * _UNITS[match[2]])
        if tokens < least:
            raise UsageFailure(f"'{part.strip()}' is not a length", "Write lengths like 4k,32k,128k or 2000.")
        lengths.append(tokens)
    return list(dict.fromkeys(lengths))


def parse_depths(text: str) -> list[float]:
    """Percent, such as `0,50,100` or `start,end`, each once.

    Raises:
        UsageFailure: If one is not between 0 and 100.
    """
    depths = []
    for part in text.split(","):
        name = part.strip().lower().removesuffix("%")
        known = re.fullmatch(r"\d{1,3}(\.\d{1,6})?", name, re.ASCII)
        depth = float(name) if known else _DEPTHS.get(name, -1.0)
        if not 0 <= depth <= 100:
            raise UsageFailure(f"'{part.strip()}' is not a depth", "Write percent like 0,50,100, or start,middle,end.")
        depths.append(depth)
    return list(dict.fromkeys(depths))


def _report(cells: list[Cell], about: dict[str, Any]) -> dict[str, Any]:
    from infini_attention.evaluate.passkeys import report

    return {**report(cells), **about}


def _print_table(cells: list[Cell], lengths: list[int], depths: list[float], trials: int, file: IO[str]) -> None:
    exact = {(cell.length, cell.depth): cell.exact for cell in cells}
    file.write(f"exact match in percent, trials a cell: {trials}\n")
    rows = []
    for depth in depths:
        place = f" ({_PLACES[depth]})" if depth in _PLACES else ""
        rows.append([f"{depth:g}%{place}", *(f"{100 * exact[length, depth]:.0f}" for length in lengths)])
    write_table(["depth", *(f"{length:,}" for length in lengths)], rows, file)
