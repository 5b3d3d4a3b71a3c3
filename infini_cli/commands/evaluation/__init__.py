"""`infini eval`: what a model still knows of what it has read, measured the way the field does."""

from __future__ import annotations

import typer

from infini_cli.commands import options
from infini_cli.commands.evaluation import recall, texts

app = typer.Typer(help="Measure what a model still knows of what it has read.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def root(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        options.help_and_exit(ctx)


for task in (recall.passkey, recall.needle, recall.babilong, texts.ppl, texts.qa, texts.refusal, texts.summary):
    app.command()(task)
