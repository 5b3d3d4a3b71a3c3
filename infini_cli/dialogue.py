"""Questions asked one after the other on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import IO

from infini_cli.asking import Asker
from infini_cli.exits import one_line
from infini_cli.output import Console
from infini_cli.stopping import arm

HELP = "/sources shows the sentences that the last answer rests on; /quit or Ctrl-D leaves"
_PROMPT = "> "


def talk(asker: Asker, console: Console, form: str, out: IO[str]) -> None:
    """Answer questions until the person leaves. Ctrl-C ends an answer; where none is being given, it leaves.

    Args:
        asker: What is asked.
        console: Where the prompt and notes go.
        form: Of the answers: `text`, `json` or `jsonl`.
        out: Where answers go; everything else goes to stderr.
    """
    console.note(HELP)
    for line in _lines(console.stderr):
        if line == "/quit":
            return
        if line == "/sources":
            if asker.last is None or not asker.last.found:
                console.note("the last answer rests on no passage" if asker.last else "nothing was asked yet")
            asker.print_sources(out)
        elif line.startswith("/"):
            console.note(f"{one_line(line)} is not known here: {HELP}")
        else:
            try:
                asker.answer(line, form, out)
            except KeyboardInterrupt:
                arm()
                out.write("\n")
                console.note("interrupted")


def _lines(stderr: IO[str]) -> Iterator[str]:
    # Imported for what it does to input(): lines can be edited, and earlier ones come back.
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
    while True:
        try:
            if sys.stdout.isatty():
                line = input(_PROMPT)
            else:
                # Where answers go to a file, the prompt must not.
                stderr.write(_PROMPT)
                stderr.flush()
                line = input()
        except (EOFError, KeyboardInterrupt):
            stderr.write("\n")
            return
        if line.strip():
            yield line.strip()
