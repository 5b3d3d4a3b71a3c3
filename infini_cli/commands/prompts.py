"""`infini prompts`: see the instructions that the model is given, and make them one's own."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from infini_attention.model import prompts

from infini_cli import completion, options

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A prompt, as `infini prompts` lists them.", autocompletion=completion.prompts),
]

app = typer.Typer(help="List, show and copy the instructions that the model is given.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def root(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        group: Any = ctx.command
        listing = group.commands["list"]
        with listing.make_context("list", [], parent=ctx) as own:
            listing.invoke(own)


@app.command("list")
@options.expanded
def list_prompts(
    output: options.Answer = None,
    *,
    settings: options.Talk,
) -> None:
    """List the prompts, and where a version of your own is looked for."""
    found = [_facts(name) for name in prompts.names()]
    lines = (f"{one['name']}  {'your own' if one['own'] else 'not overridden'}  {one['path']}" for one in found)
    settings.answer(output, lines, {"schema": "infini.prompts/1", "prompts": found})


@app.command()
@options.expanded
def show(
    name: Name,
    output: options.Answer = None,
    *,
    settings: options.Talk,
) -> None:
    """Print a prompt as it is used now."""
    facts = _facts(name)
    settings.answer(output, [facts["text"].rstrip("\n")], {"schema": "infini.prompt/1", **facts})


@app.command()
@options.expanded
def copy(
    name: Name,
    output: options.Answer = None,
    *,
    settings: options.Talk,
) -> None:
    """Copy a prompt to where your own version is looked for, and print the file's name: edit it there."""
    path = prompts.copy(name)
    fills = " and ".join(f"{{{key}}}" for key in prompts.placeholders(name))
    settings.console.note(f"edit it as you like, but keep {fills}; remove it to go back")
    settings.answer(output, [str(path)], {"schema": "infini.prompt/1", **_facts(name)})


def _facts(name: str) -> dict[str, Any]:
    text, own = prompts.current(name)
    return {
        "name": name,
        "path": str(prompts.override_path(name)),
        "own": own,
        "placeholders": prompts.placeholders(name),
        "text": text,
    }
