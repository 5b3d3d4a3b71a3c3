"""Options and first steps that the tasks of `infini eval` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from infini_attention.errors import InfiniError, InputError, UsageFailure

from infini_cli import completion
from infini_cli.commands import options
from infini_cli.session import load_model, require_memory

if TYPE_CHECKING:
    from infini_attention import Loaded
    from infini_attention.data.corpus import Corpus
    from torch import Tensor

System = Annotated[
    str,
    typer.Option(
        "--system",
        metavar="NAME",
        help="memory, local, full, window, sinks, knn or rmt, all on the same base.",
        autocompletion=completion.one_of(*completion.SYSTEMS),
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        "--memory",
        metavar="on|off",
        help="off is the system local: segments alone.",
        autocompletion=completion.one_of("on", "off"),
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Everything that is drawn follows from it.")]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw the figures as an image (.png, .svg, .pdf).", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
Lengths = Annotated[str, typer.Option("--length", metavar="LIST", help="Tokens of the prompts, like 4k,32k,1m.")]
Trials = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Trials a cell.")]
Items = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Use N, spread over all; all if left out.", show_default=False),
]
Hay = Annotated[
    Path | None,
    typer.Option("--hay", metavar="FILE|DIR", help="Texts to hide in (held-out ones are taken).", show_default=False),
]
Texts = Annotated[Path, typer.Option("--data", metavar="FILE|DIR", help="Long texts (held-out ones are taken).")]
Stories = Annotated[
    Path, typer.Option("--data", metavar="FILE|DIR", help="Texts with what is asked: .jsonl, .jsonl.gz.")
]


def prepare(output: str | None, plot: Path | None, data: Path | None) -> None:
    """Refuse what would fail only after the measurement."""
    from infini_attention.evaluate.scores import check_packages

    check_packages()
    if output is not None and not Path(output).parent.is_dir():
        raise InfiniError(f"the directory {Path(output).parent} does not exist", "Make it first, with mkdir -p.")
    if data is not None and not data.exists():
        raise InputError(f"{data} does not exist", "Give a file, or a folder of files.")
    if plot is not None:
        from infini_cli.plotting import check_plot

        check_plot(plot)


def load(run: options.Run, system: str, rule: str | None) -> Loaded:
    """The model.

    Raises:
        UsageFailure: If a rule is asked for where it would change nothing.
        ModelUnavailable: If it has no memory to measure.
    """
    if rule is not None and system != "memory":
        raise UsageFailure(f"the system {system} has no update rule", "Leave out --rule.")
    if system == "memory":
        require_memory(run.settings)
    return load_model(run.settings, run.console, rule=rule, needs_adapter=system == "memory")


def about_of(
    loaded: Loaded,
    task: str,
    system: str,
    seed: int,
    data: Path | None,
    *,
    reranked: bool = False,
    read: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Everything that the figures of a measurement depend on: its model, system, seed and texts, and `more`.

    Args:
        loaded: The model.
        task: What is measured.
        system: On which system.
        seed: What is drawn follows from it.
        data: The texts.
        reranked: Whether the model's reranker, if it has one, has a part in it.
        read: Whether its reader, if it has one, has.
        more: The rest.
    """
    from infini_attention.data.corpus import digest, text_files
    from infini_attention.evaluate.baselines.recurrent import NAME, weights_file

    about: dict[str, Any] = {
        "task": task,
        "model": loaded.origin.model,
        "adapter": loaded.origin.adapter,
        "system": system,
        "rule": loaded.config.update_rule if system == "memory" else None,
        "seed": seed,
        "dtype": str(loaded.placement.dtype).removeprefix("torch."),
    }
    recipe = loaded.recipe
    weights, reranker, reader = weights_file(recipe.folder), recipe.reranker_file, recipe.reader_file
    if system == NAME and weights is not None:
        about["weights_sha256"] = digest([weights])
    if reranked and reranker is not None:
        about["reranker_sha256"] = digest([reranker])
    if read and reader is not None:
        about["reader_sha256"] = digest([reader])
    if data is None:
        return {**about, **more}
    return {**about, "texts": data.resolve().name, "texts_sha256": digest(text_files(data)), **more}


def corpus_of(run: options.Run, loaded: Loaded, path: Path) -> Corpus:
    """Long texts, those that are set apart for evaluation."""
    from infini_attention.data.corpus import load_corpus
    from infini_attention.model.weights import cache_dir

    cache = cache_dir() / "tokens"
    return load_corpus(path, loaded.encode, loaded.origin.base, cache, held_out=True, notify=run.console.note)


def held_out(run: options.Run, loaded: Loaded, path: Path) -> Tensor:
    """The same as one run of token ids."""
    import torch

    return torch.from_numpy(corpus_of(run, loaded, path).tokens.astype("int64"))
