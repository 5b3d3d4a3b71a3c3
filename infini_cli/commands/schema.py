"""`infini schema`: what the JSON output of every command looks like, as JSON Schema."""

from __future__ import annotations

from typing import Annotated

import typer

from infini_cli import completion, options, schemas
from infini_cli.output import answer_file, emit_json


@options.expanded
def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A schema, like infini.ask/1 or ask; all are listed without.",
            autocompletion=completion.schemas,
        ),
    ] = None,
    output: options.Answer = None,
    *,
    settings: options.Talk,
) -> None:
    """List the schemas of JSON output, or print one (JSON Schema, draft 2020-12).

    What a command prints under --format json or jsonl says in its key `schema` which of them it follows.
    """
    if name is not None:
        value = schemas.read(name)
        with answer_file(output) as file:
            emit_json(value, file, jsonl=settings.format == "jsonl")
        return
    found = [{"name": one, "title": schemas.read(one)["title"]} for one in schemas.names()]
    lines = (f"{facts['name']}  {facts['title']}" for facts in found)
    settings.answer(output, lines, {"schema": "infini.schemas/1", "schemas": found})
