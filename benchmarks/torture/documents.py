"""Mutated documents: read, read in part, or refused with the right status; none goes over its time or its memory.

Each is parsed in a process of its own under the bounds that are shipped. Most of these processes are forked from this
one, where the parsers are imported already, and one in twenty is started as the command starts it. Torch is not
imported here: the address space that it takes would be the parsers'.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from infini_attention.documents import load_document, parsing_process, pdf_reading
from infini_attention.documents import markup as markup_module
from infini_attention.documents.extracted import Locked
from infini_attention.documents.isolation import Isolation, Stopped
from infini_attention.documents.isolation import run as started
from infini_attention.errors import InfiniError, InputError, UsageFailure

from benchmarks.torture import bytewise, document_kinds
from benchmarks.torture.forks import forked, memory_grown
from benchmarks.torture.results import Result

# Beside the process that parses.
MOST_MEMORY = 200 * 10**6
_STARTED = 20


class Meter:
    """Parses in forked processes, and keeps count of the memory that they took.

    Attributes:
        most: The most that one of them had at once, in bytes.
    """

    def __init__(self) -> None:
        self.most = 0

    def run(self, job: str, request: Mapping[str, Any], data: bytes, isolation: Isolation) -> Iterator[dict[str, Any]]:
        """As `isolation.run`, without the time that it takes to start Python and import the parsers."""

        def work(send: Callable[[Any], None]) -> None:
            parsing_process._bound_memory(isolation.memory + 4 * len(data))
            try:
                for answer in parsing_process._job(job)(data, request):
                    send({"answer": answer})
                send({"done": True})
            except Locked:
                send({"locked": True})
            except InfiniError as error:
                send({"error": type(error).__name__, "message": str(error), "hint": error.hint})

        with open("/dev/null", "w") as nowhere, contextlib.redirect_stderr(nowhere):
            ended = forked(work, seconds=isolation.seconds)
        self.most = max(self.most, ended.most_bytes)
        for answer in ended.answers:
            if "locked" in answer:
                raise Locked
            if "error" in answer:
                raise {"InputError": InputError, "UsageFailure": UsageFailure}[answer["error"]](
                    answer["message"], answer["hint"]
                )
            if "done" in answer:
                return
            yield answer["answer"]
        raise Stopped("takes too much memory, or breaks what reads it")


def mutated(documents: Mapping[str, list[bytes]], number: int, seed: int) -> tuple[str, str, bytes]:
    """Ending, kind of change, and the bytes that came of it; the same for the same numbers."""
    draw = random.Random(f"{seed}:{number}")
    # PDFs are a third: they are what people have, and the most intricate.
    ending = (".pdf", ".epub", ".docx", ".pdf", ".html", ".txt", ".md")[number % 7]
    data = draw.choice(documents[ending])
    kind = draw.choice((*bytewise.CHANGES, *["own"] * 4))
    changed = document_kinds.spoiled(data, ending, draw) if kind == "own" else bytewise.CHANGES[kind](data, draw)
    return ending, kind, changed


def run(folder: Path, count: int, seed: int) -> Result:
    """Try so many mutated documents."""
    assert "torch" not in sys.modules
    documents = document_kinds.corpus()
    result = Result("mutated documents", count, "documents", {"read": 0, "read in part": 0, "refused": 0})
    meter = Meter()
    for ending, (first, *_) in documents.items():
        # Imports what is imported late.
        (folder / f"whole{ending}").write_bytes(first)
        load_document(str(folder / f"whole{ending}"), isolation=None, ocr="off")
    slowest, grown_most = 0.0, 0
    for number in range(count):
        ending, kind, data = mutated(documents, number, seed)
        path = folder / f"mutated{ending}"
        path.write_bytes(data)
        run_here = meter.run if number % _STARTED else started
        start = time.monotonic()
        with (
            memory_grown() as grown,
            mock.patch.object(pdf_reading, "run", run_here),
            mock.patch.object(markup_module, "run", run_here),
        ):
            found, fault = _tried(path)
            most = grown()
        seconds = time.monotonic() - start
        slowest, grown_most = max(slowest, seconds), max(grown_most, most)
        result.count(found)
        if most > MOST_MEMORY + 8 * len(data):
            fault = f"it takes {most / 1e6:,.0f} MB beside its own process"
        if seconds > _allowed(ending):
            fault = f"it takes {seconds:.0f} s"
        if fault is not None:
            result.faults.append(f"document {number}, {ending}, {kind}: {fault}")
    result.figures |= {
        "slowest, s": slowest,
        "most memory of a parser, MB": meter.most / 1e6,
        "beside it, MB": grown_most / 1e6,
    }
    return result


def _allowed(ending: str) -> float:
    """Seconds: thirty for every page at the most, and some for the clean-up."""
    bound = Isolation().seconds
    return 6 * bound + 10 if ending != ".pdf" else 5 * bound + 10


def _tried(path: Path) -> tuple[str, str | None]:
    try:
        document = load_document(str(path), ocr="off")
    except InputError as error:
        two_lines = error.message and error.hint and "\n" not in error.message + error.hint
        return "refused", None if two_lines and error.exit_code == 3 else f"refused with {error.exit_code}: {error!r}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it should have been a refusal
        return "refused", f"{type(error).__name__}: {error}"
    if not document.text.strip():
        return "read", "it was read, and has no text"
    if document.failed_pages and not document.notes:
        return "read in part", "nothing is said of the pages that failed"
    return ("read in part" if document.failed_pages or document.notes else "read"), None
