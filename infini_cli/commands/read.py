"""`infini read`: documents into a memory state."""

from __future__ import annotations

import dataclasses
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from infini_attention.documents.reading import ReadingInterrupted
from infini_attention.errors import UsageFailure

from infini_cli import options
from infini_cli.dumping import dump
from infini_cli.exits import EXIT_INTERRUPTED
from infini_cli.opening import check_state_output, open_documents, open_session, open_state, require_memory
from infini_cli.output import answer_file, emit_json
from infini_cli.values import whole_number

if TYPE_CHECKING:
    from infini_attention.documents import Document, PageSelection
    from infini_attention.session import Session

    from infini_cli.batch.manifest import Record
    from infini_cli.batch.plan import Wanted
    from infini_cli.batch.run import Where
    from infini_cli.batch.worker import Job


Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="STATE",
        help="Where the state goes (.pt or .safetensors); a folder, there already or ending with /, for a state each.",
        show_default=False,
    ),
]
NoText = Annotated[bool, typer.Option("--no-text", help="Leave the text out of the state: ask cannot look back then.")]
DumpText = Annotated[
    bool, typer.Option("--dump-text", help="Print the text that the model would see, and stop; json adds the places.")
]
Batch = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="FILE",
        help='Read what this file of JSON lines names: {"source": ..., "state": ..., "pages": ...}; - is stdin.',
        show_default=False,
    ),
]
Jobs = Annotated[int | None, whole_number("--jobs", most=4096, help="Read N documents at a time.", show_default=False)]
Part = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Read only every N-th document, from the I-th on.", show_default=False),
]
Ray = Annotated[bool, typer.Option("--ray", help="Read on a Ray cluster (extra: ray).")]


@options.expanded
def read(
    ctx: typer.Context,
    output: Output = None,
    files: options.Files = None,
    memory: options.Memory = None,
    pages: options.Pages = None,
    no_text: NoText = False,
    dump_text: DumpText = False,
    batch: Batch = None,
    jobs: Jobs = None,
    shard: Part = None,
    ray: Ray = False,
    *,
    settings: options.Reading,
) -> None:
    """Read documents into a memory state, which `ask` and `summarize` start from.

    Several files are read in order. With --memory, reading goes on from an earlier state. After Ctrl-C the state holds
    what was read until then, and a note says how to go on.

    With a folder as STATE, every document gets a state of its own in it, and a line in its manifest.jsonl. What was
    read before, and has not changed, is skipped; documents that fail do not stop the others, and the exit status is 6.

    With --dump-text no model is loaded and no state is made: the text goes to stdout exactly as the model would see it,
    and with --format json in blocks, each with its page, the page's printed label and its heading.
    """
    selection = options.page_selection(pages)
    if dump_text:
        if output is not None or memory is not None or batch is not None:
            raise UsageFailure("--dump-text prints text and makes no state", "Leave -o, --memory and --batch out.")
        sources = options.inputs(ctx, files)
        dump(open_documents(sources, selection, settings.console, settings.pdf_backend, settings.ocr), settings.format)
        return
    if output is None:
        raise UsageFailure("no --output is given for the state", "Name a file with -o, such as state.pt.")
    model = options.named_model(ctx, settings)
    if memory is None or model is not None:
        require_memory(settings)
    if batch is None and not output.endswith(os.sep) and not Path(output).is_dir():
        if jobs is not None or shard is not None or ray:
            raise UsageFailure(f"--jobs, --shard and --ray need a folder, and {output} is none", f"Write -o {output}/")
        sources, target = options.inputs(ctx, files), Path(output)
        check_state_output(target, sources)
        state = None if memory is None else open_state(memory)
        documents = open_documents(sources, selection, settings.console, settings.pdf_backend, settings.ocr)
        session = open_session(settings, settings.console, state, model, keep_text=not no_text)
        _read_one(settings, session, documents, sources, target)
        return
    if memory is not None:
        raise UsageFailure("--memory goes on from one state, and a folder has many", "Name a file with -o.")
    from infini_cli.batch.plan import Shard
    from infini_cli.batch.run import Where
    from infini_cli.batch.worker import Job

    where = Where(jobs, ray, None if shard is None else Shard.parse(shard))
    wanted = _wanted(ctx, files, batch, selection)
    _read_many(settings, wanted, Job(Path(output).absolute(), settings, not no_text, settings.debug), where)


def _read_one(
    settings: options.Reading, session: Session, documents: list[Document], sources: list[str], output: Path
) -> None:
    try:
        session.read_documents(documents)
    except ReadingInterrupted as interruption:
        if not interruption.tokens:
            settings.console.note("interrupted before anything was read: no state was written")
            raise
        session.snapshot().save(output)
        for note in _how_to_go_on(interruption, sources, output):
            settings.console.note(note)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except KeyboardInterrupt:
        settings.console.note("interrupted: no state was written")
        raise
    saved = session.snapshot()
    saved.save(output)
    size = output.stat().st_size / 1e6
    settings.console.note(
        f"{output}: {saved.tokens:,} tokens, {saved.segments:,} segments closed and one open; {size:.1f} MB"
    )
    if settings.format is not options.Format.TEXT:
        header = saved.header()
        value = {"schema": "infini.read/1", "state": str(output), "model": saved.origin.model}
        settings.answer(None, [], value | {key: header[key] for key in ("tokens", "segments", "sources")})


def _wanted(
    ctx: typer.Context, files: list[str] | None, batch: str | None, pages: PageSelection | None
) -> list[Wanted]:
    """The documents that get a state each."""
    from infini_cli.batch.listing import read_listing
    from infini_cli.batch.plan import Wanted

    chosen = None if pages is None else str(pages)
    if batch is None:
        sources = options.inputs(ctx, files)
        if "-" in sources:
            raise UsageFailure("stdin has no name to call its state by", "Name a file with -o, such as state.pt.")
        return [Wanted(source, chosen) for source in sources]
    if files:
        raise UsageFailure("documents are named in --batch and beside it", "Name them in one place.")
    return [dataclasses.replace(each, pages=each.pages or chosen) for each in read_listing(batch)]


def _read_many(settings: options.Reading, wanted: list[Wanted], job: Job, where: Where) -> None:
    from infini_cli.batch import run as batch

    form = settings.format
    with answer_file(None) as file:

        def told(record: Record) -> None:
            if form == "jsonl":
                emit_json(record.line(), file, jsonl=True)

        tally = batch.run(wanted, job, where, settings.console, told)
        if form == "json":
            emit_json(tally.value(), file)
    if tally.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    tally.require_all()


def _how_to_go_on(interruption: ReadingInterrupted, sources: list[str], output: Path) -> list[str]:
    tokens = f"read {interruption.tokens:,} of {interruption.total:,} tokens"
    left = sources[len(sources) - interruption.left :]
    stopped = sources[len(sources) - interruption.left - 1]
    go_on = f"--memory {output} -o {output}"
    notes = []
    if interruption.pages is not None:
        first, last = interruption.pages
        tokens += f", into page {first} of {stopped}"
        notes.append(f"to go on: infini read {shlex.quote(stopped)} --pages {first}-{last} {go_on}")
    elif interruption.last_words is not None:
        tokens += f", into {stopped}; the last words read are: {interruption.last_words}"
        notes.append(f"to go on: save what follows them as a file, then: infini read FILE {go_on}")
    if left:
        notes.append(f"not begun: infini read {shlex.join(left)} {go_on}")
    return [f"interrupted: {tokens}; state in {output}", *notes]
