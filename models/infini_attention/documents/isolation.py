"""Documents of strangers are parsed in a process of their own, with bounds on its memory and its time.

A parser that runs wild or dies takes that process with it and nothing else. The process gets the document on standard
input and answers with lines of JSON, which cannot make this one do anything.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from ..errors import InputError, UsageFailure
from .extracted import Locked

_START = "import sys; sys.path[:] = {path!r}; from {package}.parsing_process import main; main()"
# numpy would set memory aside for a thread on each core, of which many machines have more than the bound allows.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
_ERRORS = {"InputError": InputError, "UsageFailure": UsageFailure}


@dataclass(frozen=True)
class Isolation:
    """Bounds of a process that parses a document.

    Attributes:
        seconds: Between two answers, which is the time for one page.
        memory: Address space beyond what the document's own bytes take, in bytes; not every system keeps to it.
    """

    seconds: float = 30.0
    memory: int = 3 << 29


class Stopped(Exception):
    """The process died or had to be ended; the text says of the document what it did."""


def run(job: str, request: Mapping[str, Any], data: bytes, isolation: Isolation) -> Iterator[dict[str, Any]]:
    """The answers of a job, as they come.

    Args:
        job: Name of one of the jobs of `parsing_process`.
        request: What is asked for, as JSON can hold it.
        data: The document.
        isolation: The bounds.

    Raises:
        Locked, InputError, UsageFailure: As the job does.
        Stopped: If the process ends before the job, or goes over its bounds.
    """
    code = _START.format(path=sys.path, package=__package__)
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Passwords are not for what a stranger's document may make of a parser.
        env={name: value for name, value in os.environ.items() if not name.startswith("INFINI_")} | _ONE_THREAD,
        start_new_session=True,  # Ctrl-C is for this process, which then ends the other.
    )
    assert process.stdin is not None and process.stdout is not None
    header = {"job": job, "memory": isolation.memory + 4 * len(data), "size": len(data), "request": dict(request)}
    feeder = threading.Thread(target=_feed, args=(process.stdin, header, data), daemon=True)
    feeder.start()
    try:
        for line in _lines(process.stdout, isolation.seconds):
            answer = json.loads(line)
            if "locked" in answer:
                raise Locked
            if "error" in answer:
                raise _ERRORS[answer["error"]](answer["message"], answer["hint"])
            if "done" in answer:
                return
            yield answer["answer"]
        raise Stopped("takes too much memory, or breaks what reads it")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        feeder.join()


def _feed(pipe: IO[bytes], header: Mapping[str, Any], data: bytes) -> None:
    with suppress(OSError):
        pipe.write(json.dumps(header).encode() + b"\n")
        pipe.write(data)
    with suppress(OSError):
        pipe.close()


def _lines(pipe: IO[bytes], seconds: float) -> Iterator[bytes]:
    """Lines from a pipe, each within the time given."""
    pending = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(seconds):
                raise Stopped(f"takes more than {seconds:.0f} seconds")
            part = os.read(pipe.fileno(), 1 << 16)
            if not part:
                return
            first = len(pending)
            pending += part
            while (end := pending.find(b"\n", first)) >= 0:
                yield bytes(pending[:end])
                del pending[: end + 1]
                first = 0
