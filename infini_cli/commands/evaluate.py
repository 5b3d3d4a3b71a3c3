"""`infini eval`: what a model still knows of what it has read, measured the way the field does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infini_cli import prompts
from infini_cli.commands import options
from infini_cli.commands.passkey import parse_depths, parse_lengths
from infini_cli.errors import CliError, InputError, UsageFailure
from infini_cli.evaluating import Report, cells_of, chosen_system, evaluate, journal, measure_loss, write
from infini_cli.session import load_model

if TYPE_CHECKING:
    from infini_attention import Loaded
    from infini_attention.evaluation.probes import Scores
    from torch import Tensor

System = Annotated[
    str,
    typer.Option(
        "--system", metavar="NAME", help="memory, local, full, window, sinks, knn or rmt, all on the same base."
    ),
]
Memory = Annotated[str, typer.Option("--memory", metavar="on|off", help="off is the system local: segments alone.")]
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

# Kinds that are asked for in most tables.
_USUAL_KINDS = ("single_1", "single_2", "single_3", "multikey_1")

app = typer.Typer(help="Measure what a model still knows of what it has read.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def root(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        options.help_and_exit(ctx)


@app.command()
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
        model=model, device=device, dtype=dtype, format="json" if as_json else format, quiet=quiet, verbose=verbose
    )
    name, lengths, depths = chosen_system(system, memory), parse_lengths(length), parse_depths(depth)
    _prepare(output, plot, hay)
    loaded = _load(run, name, rule)
    from infini_attention.evaluation.passkey import grid
    from infini_attention.passkey import Passkey

    text = None if hay is None else _held_out(run, loaded, hay)
    series = grid(Passkey(loaded.encode), lengths, depths, limit, seed, hay=text)
    about = _about(loaded, "passkey", name, seed, hay, length=lengths, depth=depths, limit=limit)
    evaluate(run, loaded, about, series, output, plot, "share of keys right", lambda found: {"mean": _mean(found)})


@app.command()
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
        model=model, device=device, dtype=dtype, format="json" if as_json else format, quiet=quiet, verbose=verbose
    )
    name, lengths = chosen_system(system, memory), parse_lengths(length)
    from infini_attention.evaluation.hidden import grid, needles
    from infini_attention.needles import FILLER_KINDS, KINDS, effective_length

    kinds = _listed(kind or ",".join(FILLER_KINDS if hay is None else _USUAL_KINDS), KINDS)
    if hay is None and (in_text := [one for one in kinds if one not in FILLER_KINDS]):
        raise UsageFailure(f"{in_text[0]} is hidden in a text, and none is given", "Pass texts with --hay.")
    _prepare(output, plot, hay)
    loaded = _load(run, name, rule)
    text = None if hay is None else _held_out(run, loaded, hay)
    hidings = needles(loaded, kinds, text, max(lengths))
    about = _about(loaded, "needle", name, seed, hay, kinds=kinds, length=lengths, limit=limit)
    series = grid(_planter(loaded), hidings, lengths, limit, seed)

    def over_all(found: Sequence[Scores]) -> dict[str, Any]:
        return {"mean": _mean(found), "effective_length": effective_length(_by_length(found))}

    evaluate(run, loaded, about, series, output, plot, "share of values named", over_all)


@app.command()
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
        model=model, device=device, dtype=dtype, format="json" if as_json else format, quiet=quiet, verbose=verbose
    )
    name, lengths = chosen_system(system, memory), parse_lengths(length, least=0)
    from infini_attention.evaluation.hidden import facts, grid
    from infini_attention.facts import TASKS

    tasks = _listed(task, TASKS)
    _prepare(output, plot, hay)
    loaded = _load(run, name, rule)
    hidings = facts(tasks, _held_out(run, loaded, hay))
    about = _about(loaded, "babilong", name, seed, hay, tasks=tasks, length=lengths, limit=limit)
    series = grid(_planter(loaded), hidings, lengths, limit, seed)

    def over_all(found: Sequence[Scores]) -> dict[str, Any]:
        return {f"mean_at_{length}": mean for length, mean in _by_length(found).items()}

    evaluate(run, loaded, about, series, output, plot, "share of answers right", over_all)


@app.command()
def ppl(
    data: Texts,
    length: Annotated[str, typer.Option("--length", metavar="N", help="Tokens of a text, like 32k.")] = "8k",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Stretches of text.")] = 4,
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
    """Loss on texts, nats a token, by position; perplexity a token, and a word as PG19 has it."""
    run = options.start(
        model=model, device=device, dtype=dtype, format="json" if as_json else format, quiet=quiet, verbose=verbose
    )
    name, lengths = chosen_system(system, memory), parse_lengths(length)
    if len(lengths) > 1:
        raise UsageFailure("ppl takes one length", "Run it once for each.")
    _prepare(output, plot, data)
    loaded = _load(run, name, rule)
    import numpy as np

    about = _about(loaded, "ppl", name, seed, data, length=lengths[0], limit=limit)
    texts = _corpus(run, loaded, data).blocks(lengths[0] + 1, limit, np.random.default_rng(seed))
    if len(texts) < limit:
        run.console.note(f"the texts hold {len(texts)} stretches of {lengths[0]:,} tokens that do not overlap")
    with journal(run, loaded, about) as record:
        found = measure_loss(run, loaded, texts, name, record)
        nats = found.nats / found.tokens
        summary: dict[str, Any] = {
            "nats_a_token": nats,
            "perplexity_a_token": math.exp(nats),
            "perplexity_a_word": math.exp(found.nats / found.words),
            "tokens_per_second": found.tokens / found.seconds,
            "state_bytes": found.state_bytes,
            "compression_ratio": found.plain_bytes / found.state_bytes if found.state_bytes else None,
        }
        write(run, Report(about, cells_of(found.by_position), summary, "nats a token"), output, plot)


@app.command()
def qa(
    data: Stories,
    limit: Items = None,
    system: System = "memory",
    memory: Memory = "on",
    rule: options.Rule = None,
    view: Annotated[
        str,
        typer.Option("--view", metavar="none|look-back|right", help="Parts of the text read again before a question."),
    ] = "none",
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
    """Questions, each asked after its whole text was read: token F1 and exact match.

    With --view look-back, the passages that `ask` finds are read again before each question, and it is measured whether
    the best of them is of the right part of the text; with --view right, that part itself is.
    """
    run = options.start(
        model=model, device=device, dtype=dtype, format="json" if as_json else format, quiet=quiet, verbose=verbose
    )
    name = chosen_system(system, memory)
    if view not in ("none", "look-back", "right"):
        raise UsageFailure(f"'{view}' is not a view", "Use none, look-back or right.")
    if view != "none" and name not in ("memory", "local"):
        raise UsageFailure(f"the system {name} cannot read anything again", "Leave out --view.")
    _prepare(output, plot, data)
    loaded = _load(run, name, rule)
    from infini_attention.adaptation.stories import load_stories
    from infini_attention.evaluation.stories import questions, right_part

    from infini_cli.lookback.measuring import look_back

    views = {"none": None, "look-back": look_back(loaded), "right": right_part(loaded)}
    asked = lambda question: prompts.fill("ask", question=question)
    series = questions(loaded, load_stories(data), asked, limit, view=views[view])
    about = _about(
        loaded, "qa", name, seed, data, limit=limit, view=view, prompt=prompts.fill("ask", question="{question}")
    )
    evaluate(run, loaded, about, [series], output, plot, "token F1, and exact match")


@app.command()
def summary(
    data: Stories,
    limit: Items = None,
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
    """Summaries after 10, 25, 50 and 100% of a text were read: the geometric mean of ROUGE-1, -2 and -L."""
    run = options.start(
        model=model, device=device, dtype=dtype, format="json" if as_json else format, quiet=quiet, verbose=verbose
    )
    name = chosen_system(system, memory)
    _prepare(output, plot, data)
    loaded = _load(run, name, rule)
    from infini_attention.adaptation.stories import load_stories
    from infini_attention.evaluation.stories import summaries

    from infini_cli.answering import decoding

    series = summaries(
        loaded, load_stories(data), lambda words: prompts.fill("summarize", words=words), limit, decoding()
    )
    about = _about(loaded, "summary", name, seed, data, limit=limit, prompt=prompts.fill("summarize", words="{words}"))
    evaluate(run, loaded, about, series, output, plot, "geometric mean of ROUGE")


def _prepare(output: str | None, plot: Path | None, data: Path | None) -> None:
    """Refuse what would fail only after the measurement."""
    from infini_attention.evaluation.scores import check_packages

    check_packages()
    if output is not None and not Path(output).parent.is_dir():
        raise CliError(f"the directory {Path(output).parent} does not exist", "Make it first, with mkdir -p.")
    if data is not None and not data.exists():
        raise InputError(f"{data} does not exist", "Give a file, or a folder of files.")
    if plot is not None:
        from infini_cli.plotting import check_plot

        check_plot(plot)


def _load(run: options.Run, system: str, rule: str | None) -> Loaded:
    """The model.

    Raises:
        UsageFailure: If a rule is asked for where it would change nothing.
    """
    if rule is not None and system != "memory":
        raise UsageFailure(f"the system {system} has no update rule", "Leave out --rule.")
    return load_model(run.settings, run.console, rule=rule, needs_adapter=system == "memory")


def _about(loaded: Loaded, task: str, system: str, seed: int, data: Path | None, **more: Any) -> dict[str, Any]:
    about: dict[str, Any] = {
        "task": task,
        "model": loaded.origin.model,
        "adapter": loaded.origin.adapter,
        "system": system,
        "rule": loaded.config.update_rule if system == "memory" else None,
        "seed": seed,
        "dtype": str(loaded.placement.dtype).removeprefix("torch."),
    }
    from infini_attention.adaptation.texts import digest, text_files
    from infini_attention.baselines.recurrent import NAME, WEIGHTS

    weights = None if loaded.recipe.folder is None else loaded.recipe.folder / WEIGHTS
    if system == NAME and weights is not None and weights.is_file():
        about["weights_sha256"] = digest([weights])
    if data is None:
        return {**about, **more}
    return {**about, "texts": data.resolve().name, "texts_sha256": digest(text_files(data)), **more}


def _corpus(run: options.Run, loaded: Loaded, path: Path) -> Any:
    from infini_attention.adaptation.texts import load_corpus
    from infini_attention.base import cache_dir

    cache = cache_dir() / "tokens"
    return load_corpus(path, loaded.encode, loaded.origin.base, cache, held_out=True, notify=run.console.note)


def _held_out(run: options.Run, loaded: Loaded, path: Path) -> Tensor:
    import torch

    return torch.from_numpy(_corpus(run, loaded, path).tokens.astype("int64"))


def _planter(loaded: Loaded) -> Any:
    from infini_attention.hiding import Planter, sentence_ends

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
