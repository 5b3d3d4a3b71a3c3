"""Tasks of recall: passkeys, needles, and facts that change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from infini_attention.errors import UsageFailure

from infini_cli.commands import options
from infini_cli.commands.evaluation.shared import (
    Hay,
    Json,
    Lengths,
    Memory,
    Plot,
    Seed,
    System,
    Trials,
    about_of,
    held_out,
    load,
    prepare,
)
from infini_cli.commands.passkey import parse_depths, parse_lengths
from infini_cli.evaluating import chosen_system, evaluate

if TYPE_CHECKING:
    from infini_attention import Loaded
    from infini_attention.evaluate.probes import Scores

# Kinds that are asked for in most tables.
_USUAL_KINDS = ("single_1", "single_2", "single_3", "multikey_1")


def passkey(
    length: Lengths = "4k,8k",
    depth: Annotated[
        str, typer.Option("--depth", metavar="LIST", help="Where the key stands: percent, or start, middle, end.")
    ] = "0,50,100",
    limit: Trials = 10,
    hay: Hay = None,
    system: System = "memory",
    memory: Memory = "on",
    rule: options.Rule = None,
    seed: Seed = 0,
    plot: Plot = None,
    output: options.Answer = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    format: options.Format = None,
    as_json: Json = False,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Five-digit keys in the paper's filler or in texts: exact match by length and depth."""
    run = options.start(
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    name, lengths, depths = chosen_system(system, memory), parse_lengths(length), parse_depths(depth)
    prepare(output, plot, hay)
    loaded = load(run, name, rule)
    from infini_attention.data.passkey import Passkey
    from infini_attention.evaluate.passkeys import grid

    text = None if hay is None else held_out(run, loaded, hay)
    series = grid(Passkey(loaded.encode), lengths, depths, limit, seed, hay=text)
    about = about_of(loaded, "passkey", name, seed, hay, length=lengths, depth=depths, limit=limit)
    evaluate(run, loaded, about, series, output, plot, "share of keys right", lambda found: {"mean": _mean(found)})


def needle(
    hay: Hay = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="LIST",
            help="Kinds of RULER, like single_1,multikey_1, or all; without --hay, those in the filler.",
            show_default=False,
        ),
    ] = None,
    length: Lengths = "4k,8k",
    limit: Trials = 10,
    system: System = "memory",
    memory: Memory = "on",
    rule: options.Rule = None,
    seed: Seed = 0,
    plot: Plot = None,
    output: options.Answer = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    format: options.Format = None,
    as_json: Json = False,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Needles as RULER has them: the share of values named, and the length up to which that is at least 85.6%."""
    run = options.start(
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    name, lengths = chosen_system(system, memory), parse_lengths(length)
    from infini_attention.data.needles import FILLER_KINDS, KINDS, effective_length
    from infini_attention.evaluate.recall import grid, needles

    kinds = _listed(kind or ",".join(FILLER_KINDS if hay is None else _USUAL_KINDS), KINDS)
    if hay is None and (in_text := [one for one in kinds if one not in FILLER_KINDS]):
        raise UsageFailure(f"{in_text[0]} is hidden in a text, and none is given", "Pass texts with --hay.")
    prepare(output, plot, hay)
    loaded = load(run, name, rule)
    text = None if hay is None else held_out(run, loaded, hay)
    hidings = needles(loaded, kinds, text, max(lengths))
    about = about_of(loaded, "needle", name, seed, hay, kinds=kinds, length=lengths, limit=limit)
    series = grid(_planter(loaded), hidings, lengths, limit, seed)

    def over_all(found: Sequence[Scores]) -> dict[str, Any]:
        return {"mean": _mean(found), "effective_length": effective_length(_by_length(found))}

    evaluate(run, loaded, about, series, output, plot, "share of values named", over_all)


def babilong(
    hay: Annotated[Path, typer.Option("--hay", metavar="FILE|DIR", help="Texts to hide in (held-out ones are taken).")],
    task: Annotated[str, typer.Option("--task", metavar="LIST", help="qa1 to qa5, or all.")] = "all",
    length: Annotated[
        str, typer.Option("--length", metavar="LIST", help="Tokens of the prompts, like 0,4k,32k; 0 has no hay.")
    ] = "0,4k",
    limit: Trials = 10,
    system: System = "memory",
    memory: Memory = "on",
    rule: options.Rule = None,
    seed: Seed = 0,
    plot: Plot = None,
    output: options.Answer = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    format: options.Format = None,
    as_json: Json = False,
    quiet: options.Quiet = None,
    verbose: options.Verbose = None,
    debug: options.Debug = False,
) -> None:
    """Facts that change, hidden in texts, as BABILong has them: exact match by task and length."""
    run = options.start(
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    name, lengths = chosen_system(system, memory), parse_lengths(length, least=0)
    from infini_attention.data.facts import TASKS
    from infini_attention.evaluate.recall import facts, grid

    tasks = _listed(task, TASKS)
    prepare(output, plot, hay)
    loaded = load(run, name, rule)
    hidings = facts(tasks, held_out(run, loaded, hay))
    about = about_of(loaded, "babilong", name, seed, hay, tasks=tasks, length=lengths, limit=limit)
    series = grid(_planter(loaded), hidings, lengths, limit, seed)

    def over_all(found: Sequence[Scores]) -> dict[str, Any]:
        return {f"mean_at_{length}": mean for length, mean in _by_length(found).items()}

    evaluate(run, loaded, about, series, output, plot, "share of answers right", over_all)


def _planter(loaded: Loaded) -> Any:
    from infini_attention.data.hiding import Planter, sentence_ends

    return Planter(loaded.encode, sentence_ends(loaded.tokenizer))


def _listed(text: str, known: Sequence[str]) -> list[str]:
    names = list(known) if text == "all" else [part.strip() for part in text.split(",")]
    if odd := [name for name in names if name not in known]:
        raise UsageFailure(f"'{odd[0]}' is not known here", f"Use some of {', '.join(known)}, or all.")
    return list(dict.fromkeys(names))


def _by_length(results: Sequence[Scores]) -> dict[int, float]:
    """Mean score over all kinds, by length."""
    lengths = sorted({int(one.labels["length"]) for one in results})
    groups = {length: [one.mean for one in results if one.labels["length"] == length] for length in lengths}
    return {length: sum(means) / len(means) for length, means in groups.items()}


def _mean(results: Sequence[Scores]) -> float:
    return sum(one.mean for one in results) / len(results)
