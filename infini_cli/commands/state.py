"""`infini state`: what is in a saved state, whether it is whole, and how its text is forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from infini_attention.errors import InputError

from infini_cli import completion, options
from infini_cli.opening import open_state
from infini_cli.output import answer_file, emit_json
from infini_cli.passphrases import cipher_of

File = Annotated[
    Path, typer.Argument(metavar="STATE", help="A state that `infini read` wrote.", autocompletion=completion.states)
]

app = typer.Typer(help="Show and verify saved states, and forget their text.", rich_markup_mode=None)


app.callback(invoke_without_command=True)(options.help_without_command)


@app.command()
@options.expanded
def show(
    file: File,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw its memories as an image (.png, .svg, .pdf).", show_default=False
        ),
    ] = None,
    notes: Annotated[bool, typer.Option("--notes", help="Print the notes in it, and who is who.")] = False,
    output: options.Answer = None,
    *,
    settings: options.Talk,
) -> None:
    """Show a state's model, what it has read, its size, and how full its memories are.

    A memory's strength is the norm of its matrix, beside the largest; its fullness is the share of the matrix's
    directions in use, by the participation ratio of its squared singular values. How far the heads of a model use their
    memories is drawn by: infini models show --plot FILE --text DOCUMENT
    """
    if plot is not None:
        from infini_cli.plotting import check_plot

        check_plot(plot)
    from infini_cli import noting, showing

    value = showing.facts(file)
    taken = showing.notes_of(file) if notes else []
    if notes and not taken:
        raise InputError(
            f"{file} carries no notes", "They are left out with --no-notes and --no-text, and forgotten with text."
        )
    if plot is not None:
        if not value["memories"]:
            raise InputError(f"{file} has no memory to draw: no segment is closed yet", "Read a longer text.")
        from infini_cli.plotting import draw_heads

        found = {f"{name}, {showing.MAPS[name]}": rows for name, rows in showing.maps(value).items()}
        draw_heads(plot, found, [layer["layer"] for layer in value["memories"]], title=file.name)
    with answer_file(output) as out:
        if settings.format == "text":
            showing.write(value, out, details=settings.verbose)
            noting.write(taken, out)
        else:
            told = {"notes": noting.record(taken)} if notes else {}
            emit_json({"schema": "infini.state/1", **value, **told}, out, jsonl=settings.format == "jsonl")


@app.command()
@options.expanded
def verify(
    file: File,
    output: options.Answer = None,
    *,
    settings: options.Talk,
) -> None:
    """Check that a state is whole and unaltered: exit 0 if it is, 5 if not."""
    digest = open_state(file).header()["digest"]
    value = {"schema": "infini.verify/1", "file": str(file), "verified": True, "digest": digest}
    settings.answer(output, [f"{file}: whole and unaltered"], value)


@app.command()
@options.expanded
def forget(
    file: File,
    output: options.Answer = None,
    *,
    settings: options.Talk,
) -> None:
    """Take the text of what was read out of a state, and notes with it; the memory stays.

    The names of documents, and the tokens of the open segment, are a part of the memory. A disk may keep the old file's
    bytes until it needs the room.
    """
    from infini_attention.text.kept import forget as forget_text

    state, size = forget_text(file, cipher_of(file))
    waiting = len(state.tensors["open_ids"])
    value = {"schema": "infini.forget/1", "file": str(file), "forgotten_bytes": size, "open_tokens": waiting}
    took = f"{size:,} bytes of text were taken out" if size else "there was no text in it"
    settings.answer(output, [f"{file}: {took}; {waiting:,} tokens wait in the open segment and stay"], value)
