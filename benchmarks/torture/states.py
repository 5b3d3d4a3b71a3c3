"""Mutated states: none loads as valid with other content, crashes, runs anything, or takes much memory."""

from __future__ import annotations

import dataclasses
import json
import random
import signal
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infini_attention.errors import StateError
from infini_attention.memory.state import fingerprint
from infini_attention.model.loading import Loaded, load_model
from infini_attention.session import Session
from infini_attention.text.kept import load_state
from safetensors import SafetensorError
from torch import Tensor

from benchmarks.torture import bytewise, state_changes
from benchmarks.torture.forks import forked, memory_grown
from benchmarks.torture.results import Result
from benchmarks.torture.tiny import book, write_model

MOST_MEMORY = 200 * 10**6
MOST_SECONDS = 20
# In one process; after a death the next one goes on.
_CHUNK = 500
_FORBIDDEN = ("subprocess.", "os.", "socket.", "exec", "compile", "ctypes.", "shutil.", "pty.", "webbrowser.")
# Only these of them: the file itself is opened, and a folder may be asked for.
_LIBRARIES = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_ALLOWED = ("os.listdir", "os.scandir")
STRUCTURAL: dict[str, Callable[[Path, random.Random], bytes]] = {
    "headers": state_changes.header,
    "tensors": state_changes.tensors,
    "archives": state_changes.archives,
    "pickles": state_changes.pickles,
}
KINDS = (*bytewise.CHANGES, *STRUCTURAL)


@dataclasses.dataclass
class Corpus:
    """Whole states, and the models that they are of.

    Attributes:
        states: Files.
        models: The model of each.
        contents: What is in each, as `content` has it.
    """

    states: list[Path]
    models: list[Loaded]
    contents: list[str]

    @classmethod
    def make(cls, folder: Path) -> Corpus:
        """Read a text under every update rule, and keep the state in both forms."""
        model = write_model(folder / "model")
        made = cls([], [], [])
        for rule in ("deltanet", "linear"):
            loaded = load_model(str(model), device="cpu", dtype="fp32", rule=rule)
            session = Session(loaded).read_text(book(8), "book.txt")
            for suffix in (".pt", ".safetensors"):
                path = folder / f"{rule}{suffix}"
                session.save(path)
                made.states.append(path)
                made.models.append(loaded)
                made.contents.append(content(path))
        return made


def content(path: Path) -> str:
    """All that a state holds, as one text.

    Raises:
        StateError: The state is refused.
    """
    state = load_state(path)
    header = {key: value for key, value in state.header().items() if key != "digest"}
    return json.dumps(header, sort_keys=True) + fingerprint(state.stored())


def mutated(corpus: Corpus, number: int, seed: int) -> tuple[str, int, bytes]:
    """The kind of a change, which state it is of, and the bytes that came of it; the same for the same numbers."""
    draw = random.Random(f"{seed}:{number}")
    kind, which = KINDS[number % len(KINDS)], draw.randrange(len(corpus.states))
    path = corpus.states[which]
    if kind in STRUCTURAL:
        try:
            return kind, which, STRUCTURAL[kind](path, draw)
        except (SafetensorError, RuntimeError, KeyError, ValueError, UnicodeEncodeError):
            # There is no file that holds this.
            kind = "bits"
    return kind, which, bytewise.CHANGES.get(kind, bytewise.bits)(path.read_bytes(), draw)


def verdict(corpus: Corpus, which: int, path: Path) -> str:
    """What became of a changed state: `refused`, `unchanged`, or `sound`: made on purpose, and within all bounds.

    Raises:
        AssertionError: It was used, and is not sound.
        Exception: Any other error than a refusal is a fault.
    """
    try:
        found = content(path)
    except StateError as error:
        assert error.message and error.hint and "\n" not in error.message + error.hint
        return "refused"
    if found == corpus.contents[which]:
        return "unchanged"
    loaded = corpus.models[which]
    state = load_state(path)
    assert all(tensor.isfinite().all() for tensor in state.tensors.values()), "not finite"
    engine = loaded.engine()
    try:
        engine.restore(state, loaded.origin)
    except StateError:
        return "of another model"
    logits: list[Tensor] = []

    def choose(found: Tensor) -> int:
        logits.append(found)
        return int(found.argmax())

    list(engine.generate([1, 2], 2, choose=choose))
    assert all(one.isfinite().all() for one in logits), "gives numbers that are not finite"
    return "sound"


def run(folder: Path, count: int, seed: int) -> Result:
    """Try so many mutated states."""
    corpus = Corpus.make(folder)
    result = Result("mutated states", count, "states", {"refused": 0})
    events: list[str] = []
    watching = [False]

    def heard(event: str, arguments: Any) -> None:
        if watching[0] and event.startswith(_FORBIDDEN) and event not in _ALLOWED:
            # A library may import another module of its own late.
            imported = event == "exec" and getattr(arguments[0], "co_filename", "<").startswith(tuple(_LIBRARIES))
            if not imported:
                events.append(event)

    sys.addaudithook(heard)
    number, most = 0, 0
    while number < count:

        def work(send: Callable[[Any], None], first: int = number) -> None:
            for each in range(first, min(first + _CHUNK, count)):
                send({"number": each, **_tried(corpus, each, seed, folder, watching, events)})

        ended = forked(work, seconds=MOST_SECONDS)
        for answer in ended.answers:
            number, most = answer["number"] + 1, max(most, answer["grown"])
            result.count(answer["verdict"])
            if answer["fault"]:
                result.faults.append(f"state {answer['number']}, {answer['kind']}: {answer['fault']}")
        if ended.code != 0:
            how = f"signal {signal.Signals(-ended.code).name}" if ended.code < 0 else f"status {ended.code}"
            result.faults.append(f"state {number}: the process ended with {how} after {ended.seconds:.0f} s")
            number += 1
    result.figures["most memory, MB"] = most / 1e6
    return result


def _tried(
    corpus: Corpus, number: int, seed: int, folder: Path, watching: list[bool], events: list[str]
) -> dict[str, Any]:
    kind, which, data = mutated(corpus, number, seed)
    path = folder / f"mutated{corpus.states[which].suffix}"
    path.write_bytes(data)
    events.clear()
    fault = None
    with memory_grown() as grown:
        watching[0] = True
        try:
            found = verdict(corpus, which, path)
        except Exception as error:  # noqa: BLE001 - whatever it is, it should have been a refusal
            found, fault = "fault", f"{type(error).__name__}: {error}"
        finally:
            watching[0] = False
        most = grown()
    if found in ("sound", "of another model") and kind not in ("headers", "tensors"):
        fault = "it loads as valid, with other content"
    if events:
        fault = f"it made happen: {', '.join(sorted(set(events)))}"
    if most > MOST_MEMORY:
        fault = f"it takes {most / 1e6:,.0f} MB"
    return {"kind": kind, "verdict": found, "fault": fault, "grown": most}
