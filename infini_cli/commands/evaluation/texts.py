"""Tasks on texts: loss, questions and summaries."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer
from infini_attention.errors import InfiniError, UsageFailure
from infini_attention.model import prompts

from infini_cli import completion
from infini_cli.commands import options
from infini_cli.commands.evaluation.shared import (
    Items,
    Json,
    Memory,
    Plot,
    Seed,
    Stories,
    System,
    Texts,
    about_of,
    corpus_of,
    load,
    prepare,
)
from infini_cli.commands.passkey import parse_lengths
from infini_cli.evaluating import Report, cells_of, chosen_system, evaluate, journal, measure_loss, write

# What may be read again before a question.
VIEWS = ("none", "look-back", "words", "right")


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
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    name, lengths = chosen_system(system, memory), parse_lengths(length)
    if len(lengths) > 1:
        raise UsageFailure("ppl takes one length", "Run it once for each.")
    prepare(output, plot, data)
    loaded = load(run, name, rule)
    import numpy as np

    about = about_of(loaded, "ppl", name, seed, data, length=lengths[0], limit=limit)
    texts = corpus_of(run, loaded, data).blocks(lengths[0] + 1, limit, np.random.default_rng(seed))
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


def qa(
    data: Stories,
    limit: Items = None,
    system: System = "memory",
    memory: Memory = "on",
    rule: options.Rule = None,
    view: Annotated[
        str,
        typer.Option(
            "--view",
            metavar="|".join(VIEWS),
            help="Parts of the text read again before a question.",
            autocompletion=completion.one_of(*VIEWS),
        ),
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
    """Questions, each asked after its whole text was read: token F1, exact match and ROUGE-L.

    With --view look-back, the passages that `ask` finds are read again before each question, and it is measured whether
    the best of them is of the right part of the text, where the data tell it; with --view words, those that share most
    with the question are, which needs no model to be found; with --view right, the right part itself is.
    """
    run = options.start(
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    name = chosen_system(system, memory)
    if view not in VIEWS:
        raise UsageFailure(f"'{view}' is not a view", f"Use one of {', '.join(VIEWS)}.")
    if view != "none" and name not in ("memory", "local"):
        raise UsageFailure(f"the system {name} cannot read anything again", "Leave out --view.")
    prepare(output, plot, data)
    loaded = load(run, name, rule)
    from infini_attention.data.stories import load_stories
    from infini_attention.evaluate.retrieval import by_words, look_back
    from infini_attention.evaluate.story_probes import questions, right_part
    from infini_attention.model.adapters import load_changes
    from infini_attention.qa.counts import numbers_for

    views = dict(zip(VIEWS[1:], (look_back, by_words, right_part), strict=True))
    series = questions(
        loaded,
        load_stories(data),
        lambda asked: prompts.fill("ask", question=asked),
        limit,
        view=views[view](loaded) if view in views else None,
        reader=load_changes(loaded.model, loaded.recipe.reader_file) if view in views else None,
        options=numbers_for,
    )
    about = about_of(
        loaded,
        "qa",
        name,
        seed,
        data,
        judged=view == "look-back",
        read=view != "none",
        limit=limit,
        view=view,
        prompt=prompts.fill("ask", question="{question}"),
    )
    evaluate(run, loaded, about, [series], output, plot, "token F1, exact match and ROUGE-L")


def refusal(
    data: Stories,
    limit: Items = None,
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
    """How often `ask` refuses an answer: to questions of the text that was read, and to questions of another one."""
    run = options.start(
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    prepare(output, plot, data)
    loaded = load(run, "memory", rule)
    if loaded.recipe.refuse_below is None:
        raise InfiniError(
            f"{loaded.recipe.name} never refuses: its recipe has no refuse_below",
            "Set that threshold to what python -m benchmarks.refusal prints.",
        )
    from infini_attention.data.stories import load_stories
    from infini_attention.evaluate.refusals import refusals
    from infini_attention.evaluate.retrieval import refusing

    series = refusals(
        loaded, load_stories(data), lambda asked: prompts.fill("ask", question=asked), limit, refusing(loaded)
    )
    about = about_of(
        loaded,
        "refusal",
        "memory",
        seed,
        data,
        judged=True,
        limit=limit,
        prompt=prompts.fill("ask", question="{question}"),
        refuse_below=loaded.recipe.refuse_below,
    )
    evaluate(run, loaded, about, series, output, plot, "share refused")


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
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    name = chosen_system(system, memory)
    prepare(output, plot, data)
    loaded = load(run, name, rule)
    from infini_attention.data.stories import load_stories
    from infini_attention.evaluate.story_probes import summaries
    from infini_attention.qa.turn import decoding

    series = summaries(
        loaded, load_stories(data), lambda words: prompts.fill("summarize", words=words), limit, decoding()
    )
    about = about_of(
        loaded, "summary", name, seed, data, limit=limit, prompt=prompts.fill("summarize", words="{words}")
    )
    evaluate(run, loaded, about, series, output, plot, "geometric mean of ROUGE", text_by_text=True)
