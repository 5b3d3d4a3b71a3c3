"""`infini read`: documents into a memory state."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from infini_attention.documents.reading import ReadingInterrupted
from infini_attention.errors import UsageFailure

from infini_cli import options
from infini_cli.dumping import dump
from infini_cli.exits import EXIT_INTERRUPTED
from infini_cli.opening import check_state_output, open_documents, open_session, open_state, require_memory
from infini_cli.output import Console, answer_file, emit_json
from infini_cli.passphrases import new_cipher
from infini_cli.values import whole_number

if TYPE_CHECKING:
    from infini_attention.documents import Document, PageSelection
    from infini_attention.memory.reading_journal import ReadingJournal
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
NoNotes = Annotated[
    bool, typer.Option("--no-notes", help="Leave notes out of the state: summarize takes them anew then.")
]
DumpText = Annotated[
    bool, typer.Option("--dump-text", help="Print the text that the model would see, and stop; json adds the places.")
]
Encrypt = Annotated[
    bool, typer.Option("--encrypt", help="Encrypt the state with a passphrase; so is what goes on from such a state.")
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
    no_notes: NoNotes = False,
    dump_text: DumpText = False,
    encrypt: Encrypt = False,
    batch: Batch = None,
    jobs: Jobs = None,
    shard: Part = None,
    ray: Ray = False,
    *,
    settings: options.Reading,
) -> None:
    """Read documents into a memory state, which `ask` and `summarize` start from.

    Several files are read in order. With --memory, reading goes on from an earlier state. While it is read, STATE.journal
    keeps what was read: after Ctrl-C, or whatever else ends reading, the same command goes on from there.

    Notes on each section, and who is who, are taken meanwhile and kept in the state: `infini state show --notes` prints
    them, and `summarize` makes its summary of them.

    With a folder as STATE, every document gets a state of its own in it, and a line in its manifest.jsonl. What was
    read before, and has not changed, is skipped; documents that fail do not stop the others, and the exit status is 6.

    With --dump-text no model is loaded and no state is made: the text goes to stdout exactly as the model would see it,
    and with --format json in blocks, each with its page, the page's printed label and its heading.
    """
    selection = options.page_selection(pages)
    if dump_text:
        if output is not None or memory is not None or batch is not None or encrypt:
            raise UsageFailure(
                "--dump-text prints text and makes no state", "Leave -o, --memory, --batch and --encrypt out."
            )
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
        from infini_attention.memory.reading_journal import ReadingJournal

        cipher = new_cipher(target) if encrypt and (state is None or state.cipher is None) else None
        if cipher is None and state is not None:
            cipher = state.cipher
        with ReadingJournal(target, settings.console, cipher) as journal, _how_to_go_on(journal, settings.console):
            documents = open_documents(sources, selection, settings.console, settings.pdf_backend, settings.ocr)
            session = open_session(
                settings,
                settings.console,
                state,
                model,
                keep_text=not no_text,
                keep_notes=not no_notes,
                cipher=cipher,
            )
            _read_one(settings, session, documents, journal)
        return
    if memory is not None:
        raise UsageFailure("--memory goes on from one state, and a folder has many", "Name a file with -o.")
    from infini_cli.batch.plan import Shard
    from infini_cli.batch.run import Where
    from infini_cli.batch.worker import Job

    where = Where(jobs, ray, None if shard is None else Shard.parse(shard))
    wanted = _wanted(ctx, files, batch, selection)
    cipher = new_cipher(Path(output)) if encrypt else None
    _read_many(
        settings,
        wanted,
        Job(Path(output).absolute(), settings, not no_text, not no_notes, settings.debug, cipher),
        where,
    )


def _read_one(settings: options.Reading, session: Session, documents: list[Document], journal: ReadingJournal) -> None:
    session.read_documents(documents, journal=journal)
    saved, output = session.snapshot(), journal.target
    journal.finish(saved)
    size = output.stat().st_size / 1e6
    settings.console.note(
        f"{output}: {saved.tokens:,} tokens, {saved.segments:,} segments closed and one open; {size:.1f} MB"
    )
    if settings.format is not options.Format.TEXT:
        header = saved.header()
        value = {"schema": "infini.read/1", "state": str(output), "model": saved.origin.model}
        settings.answer(None, [], value | {key: header[key] for key in ("tokens", "segments", "sources")})


@contextlib.contextmanager
def _how_to_go_on(journal: ReadingJournal, console: Console) -> Iterator[None]:
    """Say it where reading is interrupted."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        read = "interrupted"
        if isinstance(interruption, ReadingInterrupted) and interruption.tokens:
            place = f", into {interruption.place}"
            read += f": read {interruption.tokens:,} of {interruption.total:,} tokens{place}"
        kept = f"what was read is in {journal.folder}" if journal.written else "nothing was kept"
        console.note(f"{read}; {kept}")
        if journal.written:
            console.note("to go on, give the same command again")
        raise


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
