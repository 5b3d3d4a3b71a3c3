"""The process in which a document is parsed: a request on standard input, answers on what was standard output."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from ..errors import InfiniError
from .extracted import Locked

Job = Callable[[bytes, Mapping[str, Any]], Iterator[Mapping[str, Any]]]


def main() -> None:
    """Do one job, within the bounds that its header names."""
    # Libraries that print must not break into the answers.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        header = json.loads(sys.stdin.buffer.readline())
        _bound_memory(header["memory"])
        data = sys.stdin.buffer.read(header["size"])
        try:
            for answer in _job(header["job"])(data, header["request"]):
                _write(answers, {"answer": answer})
            _write(answers, {"done": True})
        except Locked:
            _write(answers, {"locked": True})
        except InfiniError as error:
            _write(answers, {"error": type(error).__name__, "message": str(error), "hint": error.hint})


def _job(name: str) -> Job:
    if name == "pdf":
        from .pdf_extract import messages

        return messages
    from .markup import convert

    return convert


def _bound_memory(limit: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _write(answers: IO[bytes], answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()
