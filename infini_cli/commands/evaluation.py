"""`infini eval`: what a model still knows of what it has read, measured the way the field does."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from infini_attention.errors import UsageFailure

from infini_cli import completion, options
from infini_cli.evaluating import Measuring, evaluate
from infini_cli.lists import chosen, parse_depths, parse_lengths
from infini_cli.values import whole_number


class View(StrEnum):
    """What a question is answered from."""

    PASSAGES = "passages"
    WORDS = "words"
    RIGHT = "right"
    MEMORY = "memory"


Lengths = Annotated[
    str, typer.Option("--length", metavar="LIST", help="Tokens of the prompts: 4k is 4,096, 1m is 1,048,576.")
]
Depths = Annotated[
    str, typer.Option("--depth", metavar="LIST", help="Where the key stands: percent, or start, middle, end.")
]
Trials = Annotated[int, whole_number("--limit", "--trials", help="Trials a cell.")]
Items = Annotated[
    int | None,
    whole_number("--limit", help="Use N, spread over all; all if left out.", show_default=False),
]
Hay = Annotated[
    Path | None,
    typer.Option(
        "--hay",
        "--haystack",
        metavar="FILE|DIR",
        help="A document, or texts (held-out ones are taken), to hide in.",
        show_default=False,
    ),
]
Texts = Annotated[Path, typer.Option("--data", metavar="FILE|DIR", help="Long texts (held-out ones are taken).")]
Stories = Annotated[
    Path, typer.Option("--data", metavar="FILE|DIR", help="Texts with what is asked: .jsonl, .jsonl.gz.")
]
State = Annotated[
    Path | None,
    typer.Option(
        "--memory",
        metavar="STATE",
        help="Hide keys after what this state has read.",
        show_default=False,
        autocompletion=completion.states,
    ),
]
Kinds = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="LIST",
        help="Kinds of needles, like filler_number,number_of_four, or all; without --hay, those in the filler.",
        show_default=False,
    ),
]
TaskData = Annotated[
    Path, typer.Option("--task-data", metavar="FILE|DIR", help="The test's own published files: .jsonl or .json.")
]

app = typer.Typer(help="Measure what a model still knows of what it has read.", rich_markup_mode=None)
app.callback(invoke_without_command=True)(options.help_without_command)


@app.command()
@options.expanded
def passkey(
    ctx: typer.Context,
    length: Lengths = "4k,8k",
    depth: Depths = "0,50,100",
    limit: Trials = 10,
    hay: Hay = None,
    memory: State = None,
    *,
    settings: Measuring,
) -> None:
    """Five-digit keys in the paper's filler, in texts or in a document: exact match by length and depth."""
    lengths, depths = parse_lengths(length), parse_depths(depth)
    # The paper's filler has a name too.
    text = None if hay == Path("repeat") else hay
    from infini_attention.evaluate.passkeys import PasskeyTask

    evaluate(settings, PasskeyTask(lengths, depths, limit, text), memory, options.named_model(ctx, settings))


@app.command()
@options.expanded
def needle(
    hay: Hay = None, kind: Kinds = None, length: Lengths = "4k,8k", limit: Trials = 10, *, settings: Measuring
) -> None:
    """Needles in texts: the share of values named, and the length up to which that is at least 85.6%."""
    lengths = parse_lengths(length)
    from infini_attention.data.needles import KINDS
    from infini_attention.evaluate.recall import NeedleTask

    evaluate(settings, NeedleTask(None if kind is None else chosen(kind, KINDS), hay, lengths, limit))


@app.command()
@options.expanded
def facts(
    hay: Annotated[Path, typer.Option("--hay", metavar="FILE|DIR", help="A document, or texts, to hide in.")],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            "--task",
            metavar="LIST",
            help="Kinds of facts: person_place, thing_place, thing_place_before, direction, gift; or all.",
        ),
    ] = "all",
    length: Annotated[
        str, typer.Option("--length", metavar="LIST", help="Tokens of the prompts, like 0,4k,32k; 0 has no hay.")
    ] = "0,4k",
    limit: Trials = 10,
    *,
    settings: Measuring,
) -> None:
    """Facts that change, hidden in texts: exact match by kind and length."""
    lengths = parse_lengths(length, least=0)
    from infini_attention.data.facts import TASKS
    from infini_attention.evaluate.recall import FactsTask

    evaluate(settings, FactsTask(hay, chosen(kind, TASKS), lengths, limit))


@app.command()
@options.expanded
def ppl(
    data: Texts,
    length: Annotated[str, typer.Option("--length", metavar="N", help="Tokens of a text, like 32k.")] = "8k",
    limit: Annotated[int, whole_number("--limit", help="Stretches of text.")] = 4,
    *,
    settings: Measuring,
) -> None:
    """Loss on texts, nats a token, by position; perplexity a token, and a word as PG19 has it."""
    lengths = parse_lengths(length)
    if len(lengths) > 1:
        raise UsageFailure("ppl takes one length", "Run it once for each.")
    from infini_attention.evaluate.perplexity import LossTask

    evaluate(settings, LossTask(data, lengths[0], limit))


@app.command()
@options.expanded
def qa(
    data: Stories,
    limit: Items = None,
    view: Annotated[View, typer.Option("--view", help="What a question is answered from.")] = View.PASSAGES,
    reader: options.Reader = None,
    *,
    settings: Measuring,
) -> None:
    """Questions, answered as `ask` answers them: token F1, exact match and ROUGE-L.

    It is also measured whether the best passage is of the right part of the text, where the data tell it. With --view words,
    the passages that share most words with a question are in view, which needs no model to be found; with --view right, the
    right part itself; with --view memory, nothing: the memory alone answers. Another system than memory is asked so too.
    """
    from infini_attention.evaluate.story_tasks import QuestionTask

    evaluate(settings, QuestionTask(data, limit, view.value), reader=reader)


@app.command()
@options.expanded
def refusal(data: Stories, limit: Items = None, reader: options.Reader = None, *, settings: Measuring) -> None:
    """How often `ask` refuses an answer: to questions of the text that was read, and to questions of another one."""
    from infini_attention.evaluate.story_tasks import RefusalTask

    evaluate(settings, RefusalTask(data, limit), reader=reader)


@app.command()
@options.expanded
def summary(data: Stories, limit: Items = None, *, settings: Measuring) -> None:
    """Summaries, made as `summarize` makes them: the geometric mean of ROUGE-1, -2 and -L, and what the check kept."""
    from infini_attention.evaluate.story_tasks import SummaryTask

    evaluate(settings, SummaryTask(data, limit))


@app.command()
@options.expanded
def ruler(task_data: TaskData, limit: Items = None, *, settings: Measuring) -> None:
    """RULER, from the files that its own scripts made: its recall of all strings, a row for each file."""
    from infini_attention.evaluate.published import RulerTask

    evaluate(settings, RulerTask(task_data, limit))


@app.command()
@options.expanded
def babilong(task_data: TaskData, limit: Items = None, *, settings: Measuring) -> None:
    """BABILong, from its published files: the share of answers right as it compares them, a row for each file."""
    from infini_attention.evaluate.published import BabilongTask

    evaluate(settings, BabilongTask(task_data, limit))
