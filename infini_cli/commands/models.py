"""`infini models`: which models there are, and fetching them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from infini_attention.errors import InputError, UsageFailure

from infini_cli import completion, options
from infini_cli.fetching import fetch
from infini_cli.opening import load_model, open_documents, require_memory

if TYPE_CHECKING:
    from infini_attention.model.recipe import Recipe

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A recipe, a folder, or a hub id; the default model if left out.",
        autocompletion=completion.models,
    ),
]

app = typer.Typer(help="List, fetch and show models.", rich_markup_mode=None)


app.callback(invoke_without_command=True)(options.help_without_command)


@app.command("list")
@options.expanded
def list_models(
    output: options.Answer = None,
    *,
    settings: options.Talk,
) -> None:
    """List the models that come with infini.

    Says for each whether its weights are here, and whether it has a trained memory. One without a memory answers and
    summarises from text.
    """
    from infini_attention.model.recipe import find, names

    models = [_summary(find(name)) for name in names()]
    settings.answer(output, map(_in_a_line, models), {"schema": "infini.models/1", "models": models})


@app.command()
@options.expanded
def pull(
    name: Name = None,
    output: options.Answer = None,
    model: options.Model = None,
    *,
    settings: options.Talk,
) -> None:
    """Fetch the base weights of a model and print their folder.

    Those of the model that answers for it from passages are fetched too. Afterwards it works without a network. What is
    here is not fetched again, unless it has changed since. After a break, the same command goes on.
    """
    recipe = _recipe(name or model)
    folder, *others = (fetch(one.base, settings.console, repair=True) for one in _with_reader(recipe))
    reader = str(others[0]) if others else None
    value = {"schema": "infini.pull/1", "name": recipe.name, "folder": str(folder), "reader": reader}
    settings.answer(output, map(str, [folder, *others]), value)


@app.command()
@options.expanded
def verify(
    name: Name = None,
    output: options.Answer = None,
    model: options.Model = None,
    *,
    settings: options.Talk,
) -> None:
    """Check that the base weights of a model are what was fetched: exit 0 if they are, 4 if not.

    Reads every byte. At each start only sizes and times are looked at.
    """
    from infini_attention.model.weights import verify as verify_weights

    recipe = _recipe(name or model)
    checked = [verify_weights(one.base) for one in _with_reader(recipe)]
    lines = [f"{folder}: {files} files, all as they were fetched" for folder, files in checked]
    folder, files = str(checked[0][0]), sum(files for _, files in checked)
    value = {"schema": "infini.weights/1", "name": recipe.name, "folder": folder, "files": files, "verified": True}
    settings.answer(output, lines, value)


@app.command()
@options.expanded
def show(
    name: Name = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw how far each head uses its memory (.png, .svg, .pdf).",
            show_default=False,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            metavar="FILE",
            help="With --plot: measure it on this document, not by the gates' biases.",
            show_default=False,
        ),
    ] = None,
    output: options.Answer = None,
    *,
    settings: options.Reading,
) -> None:
    """Show what a model is made of.

    Base weights, memory path, how it was trained, and what it scored.
    """
    if text is not None and plot is None:
        raise UsageFailure("--text is what --plot measures, and there is no --plot", "Add --plot FILE.")
    value = _details(_recipe(name or settings.model))
    if plot is not None:
        _draw_heads(settings, name, plot, text)
    settings.answer(output, _lines(value), {"schema": "infini.model/1", **value})


def _draw_heads(settings: options.Reading, name: str | None, plot: Path, text: str | None) -> None:
    from infini_cli.plotting import check_plot, draw_heads

    check_plot(plot)
    document = (
        None if text is None else open_documents([text], None, settings.console, settings.pdf_backend, settings.ocr)[0]
    )
    require_memory(settings, name)
    loaded = load_model(settings, settings.console, name)
    from infini_attention.evaluate.gate_usage import gate_scores, usage
    from infini_attention.memory.parameters import memory_paths

    if document is None:
        shares, unit = gate_scores(loaded), "sigmoid of the gate's bias"
    else:
        ids = loaded.encode(document.text)
        if len(ids) <= loaded.config.segment_length:
            raise InputError(
                f"{document.name} has {len(ids)} tokens, no more than a segment of {loaded.config.segment_length}",
                "Memory is used from the second segment on: give a longer text.",
            )
        shares, unit = usage(loaded, ids), "share of the memory in a head's output"
    about = loaded.recipe.name if document is None else f"{loaded.recipe.name} on {document.name}"
    draw_heads(plot, {unit: shares.tolist()}, list(memory_paths(loaded.model)), title=about)


def _recipe(name: str | None) -> Recipe:
    from infini_attention.model.recipe import DEFAULT, find

    return find(name or DEFAULT)


def _with_reader(recipe: Recipe) -> list[Recipe]:
    """A model, and behind it the one that answers for it from passages, if that is another one."""
    from infini_attention.model.recipe import find

    name = recipe.answers.read_by
    return [recipe] if name is None else [recipe, find(name)]


def _summary(recipe: Recipe) -> dict[str, Any]:
    from infini_attention.model.weights import local_path

    return {
        "name": recipe.name,
        "base": recipe.base.name,
        "licence": recipe.base.licence,
        "weights": local_path(recipe.base) is not None,
        "adapter": recipe.adapter_file is not None,
        "memory": recipe.memory,
        "read_by": recipe.answers.read_by,
    }


def _in_a_line(facts: Mapping[str, Any]) -> str:
    here = "weights here" if facts["weights"] else "weights not fetched"
    memory = "memory" if facts["memory"] else "no memory"
    reader = [] if facts["read_by"] is None else [f"answers by {facts['read_by']}"]
    return "  ".join([facts["name"], facts["base"], facts["licence"], here, memory, *reader])


def _details(recipe: Recipe) -> dict[str, Any]:
    from infini_attention.model.weights import local_path

    base = recipe.base
    files = recipe.adapter_file, recipe.reranker_file, recipe.reader_file
    adapter, reranker, reader = (None if file is None else str(file) for file in files)
    folder = local_path(base)
    return {
        "name": recipe.name,
        "base": base.to_dict(),
        "weights": None if folder is None else str(folder),
        "adapter": adapter,
        "reranker": reranker,
        "reader": reader,
        "read_by": recipe.answers.read_by,
        "config": _memory_path(recipe),
        "training": dict(recipe.training),
        "scores": {**recipe.scores, **recipe.reports},
    }


def _memory_path(recipe: Recipe) -> dict[str, Any] | None:
    if not recipe.memory:
        return None
    config = recipe.config.to_dict()
    # JSON has no infinity.
    config["decay_tokens"] = ["inf" if tokens == float("inf") else tokens for tokens in config["decay_tokens"]]
    return config


def _lines(value: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, part in value.items():
        if isinstance(part, dict):
            lines += [f"{indent}{key}:", *_lines(part, indent + "  ")]
        elif isinstance(part, list) and part and isinstance(part[0], dict):
            for number, each in enumerate(part, 1):
                lines += [f"{indent}{key} {number}:", *_lines(each, indent + "  ")]
        elif isinstance(part, list | tuple):
            lines.append(f"{indent}{key}: {', '.join(map(str, part))}")
        else:
            lines.append(f"{indent}{key}: {'none' if part is None else part}")
    return lines
