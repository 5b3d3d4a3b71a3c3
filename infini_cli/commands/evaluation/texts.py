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
from infini_cli.session import load_model

# What a question is answered from (see `question_answering.VIEWS`).
VIEWS = ("passages", "words", "right", "memory")


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
            help="What a question is answered from.",
            autocompletion=completion.one_of(*VIEWS),
        ),
    ] = "passages",
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
    """Questions, answered as `ask` answers them: token F1, exact match and ROUGE-L.

    It is also measured whether the best passage is of the right part of the text, where the data tell it. With --view words,
    the passages that share most words with a question are in view, which needs no model to be found; with --view right, the
    right part itself; with --view memory, nothing: the memory alone answers. Another system than memory is asked so too.
    """
    run = options.start(
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    name = chosen_system(system, memory)
    if view not in VIEWS:
        raise UsageFailure(f"'{view}' is not a view", f"Use one of {', '.join(VIEWS)}.")
    if view != "passages" and name != "memory":
        raise UsageFailure(f"the system {name} can look nothing up", "Leave out --view.")
    prepare(output, plot, data)
    loaded = load(run, name, rule)
    from infini_attention.data.stories import load_stories
    from infini_attention.evaluate.question_answering import questions, system_questions

    stories = load_stories(data)
    measured = (
        questions(loaded, stories, limit, view=view) if name == "memory" else system_questions(loaded, stories, limit)
    )
    about = about_of(
        loaded,
        "qa",
        name,
        seed,
        data,
        reranked=view == "passages",
        read=view != "memory",
        limit=limit,
        view=view,
        prompt=prompts.fill("ask", question="{question}"),
    )
    evaluate(run, loaded, about, [measured], output, plot, "token F1, exact match and ROUGE-L")


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
    # Whether a text tells what is asked is told from its passages, whatever is remembered.
    loaded = load_model(run.settings, run.console, rule=rule)
    if loaded.recipe.refuse_below is None:
        raise InfiniError(
            f"{loaded.recipe.name} never refuses: its recipe has no refuse_below",
            "Set that threshold to what python -m benchmarks.refusal prints.",
        )
    from infini_attention.data.stories import load_stories
    from infini_attention.evaluate.refusals import refusals

    series = refusals(loaded, load_stories(data), limit)
    about = about_of(
        loaded,
        "refusal",
        "memory",
        seed,
        data,
        reranked=True,
        limit=limit,
        prompt=prompts.fill("ask", question="{question}"),
        refuse_below=loaded.recipe.refuse_below,
    )
    evaluate(run, loaded, about, series, output, plot, "share refused")


def summary(
    data: Stories,
    limit: Items = None,
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
    """Summaries, made as `summarize` makes them: the geometric mean of ROUGE-1, -2 and -L, and what the check kept."""
    run = options.start(
        model=model, device=device, dtype=dtype, format=format, as_json=as_json, quiet=quiet, verbose=verbose
    )
    prepare(output, plot, data)
    loaded = load(run, "memory", None)
    from infini_attention.data.stories import load_stories
    from infini_attention.evaluate.summarization import summaries

    series = [summaries(loaded, load_stories(data), limit)]
    about = about_of(
        loaded, "summary", "memory", seed, data, limit=limit, prompt=prompts.fill("note", words=0, text="")
    )
    evaluate(run, loaded, about, series, output, plot, "geometric mean of ROUGE, and the share of sentences kept")
