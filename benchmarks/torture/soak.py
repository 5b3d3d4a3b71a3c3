"""Millions of tokens into one memory: it stays finite, the process stays as large as it was, and opens no more files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from infini_attention.model.loading import Loaded, load_model
from torch import Tensor

from benchmarks.torture.forks import forked, resident_bytes
from benchmarks.torture.results import Result
from benchmarks.torture.tiny import book, write_model

# Bytes by which a process may grow after the first tenth: what the allocator keeps varies by as much.
MOST_GROWTH = 8 * 2**20
KINDS = ("random", "one token", "newlines", "a book again and again")
_SEGMENT = 512
_AT_ONCE = 16_384


def texts(loaded: Loaded) -> dict[str, Callable[[int], Tensor]]:
    """What is read, each as a function of how many tokens are wanted."""
    vocabulary = int(loaded.model.config.vocab_size)
    draw = torch.Generator().manual_seed(0)
    novel, newline = (torch.tensor(loaded.encode(text)) for text in (book(60), "\n"))

    def again(count: int) -> Tensor:
        # Begins where the last piece ended.
        rolled = novel.roll(-again.place % len(novel))  # type: ignore[attr-defined]
        again.place = (again.place + count) % len(novel)  # type: ignore[attr-defined]
        return rolled.repeat(count // len(novel) + 1)[:count]

    again.place = 0  # type: ignore[attr-defined]
    return {
        "random": lambda count: torch.randint(0, vocabulary, (count,), generator=draw),
        "one token": lambda count: torch.full((count,), 17),
        "newlines": lambda count: newline[:1].expand(count),
        "a book again and again": again,
    }


def run(folder: Path, count: int, seed: int) -> Result:
    """Read so many tokens, a quarter of them of each kind of text."""
    model = write_model(folder / "model", segment=_SEGMENT)
    result = Result("soak", 0, "tokens", {"most growth, MB": 0.0, "more open files": 0})
    for kind in KINDS:

        def work(send: Callable[[Any], None], kind: str = kind) -> None:
            torch.set_num_threads(1)
            send(_read(str(model), kind, count // len(KINDS)))

        ended = forked(work, seconds=3600)
        if ended.code != 0 or not ended.answers:
            result.faults.append(f"{kind}: the process ended with {ended.code}")
            continue
        told = ended.answers[0]
        result.tried += told["tokens"]
        result.figures["most growth, MB"] = max(result.figures["most growth, MB"], told["grown"] / 1e6)
        result.figures["more open files"] = max(result.figures["more open files"], told["files"])
        if not told["finite"]:
            result.faults.append(f"{kind}: the memory or an answer is not finite")
        if told["grown"] > MOST_GROWTH:
            result.faults.append(f"{kind}: the process grew by {told['grown'] / 1e6:.1f} MB")
        if told["files"] > 0:
            result.faults.append(f"{kind}: {told['files']} more files are open")
    return result


def _read(model: str, kind: str, count: int) -> dict[str, Any]:
    loaded = load_model(model, device="cpu", dtype="fp32")
    engine, make = loaded.engine(), texts(loaded)[kind]
    before, files, most, read, finite = 0, 0, 0, 0, True
    while read < count:
        piece = make(min(_AT_ONCE, count - read))
        engine.read(piece)
        read += len(piece)
        state = engine.snapshot(loaded.origin)
        finite &= all(bool(tensor.isfinite().all()) for tensor in state.tensors.values() if tensor.is_floating_point())
        if not before and read >= count // 10:
            before, files = resident_bytes(), len(os.listdir("/proc/self/fd"))
        most = max(most, resident_bytes() - before) if before else 0
    logits: list[Tensor] = []

    def choose(found: Tensor) -> int:
        logits.append(found)
        return int(found.argmax())

    list(engine.generate([1, 2], 4, choose=choose))
    finite &= all(bool(one.isfinite().all()) for one in logits)
    grown_files = len(os.listdir("/proc/self/fd")) - files
    return {"tokens": engine.tokens_read, "finite": finite, "grown": most, "files": grown_files}
