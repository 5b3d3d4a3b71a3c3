"""What every test is: trials that it draws, how they are scored, and what its figures depend on."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..data.corpus import text_files
from ..documents import Document, load_document
from ..errors import UsageFailure
from ..memory.engine import Engine
from ..memory.state import MemoryState
from ..model.loading import Loaded
from ..reporting import SILENT, Reporter
from . import probes
from .baselines import SYSTEMS, system
from .probes import Measured, Record, Scores, Series


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """What a task is measured on.

    Attributes:
        loaded: the model.
        system: one of ``baselines.SYSTEMS``, on the same base.
        seed: everything that is drawn follows from it.
        state: what the system has read before; for the system ``memory``.
        record: scores of an earlier, interrupted run, and where to note new ones.
        reporter: where notes and progress go.
        open: reads a document that things are hidden in.
    """

    loaded: Loaded
    system: str = "memory"
    seed: int = 0
    state: MemoryState | None = None
    record: Record | None = None
    reporter: Reporter = SILENT
    open: Callable[[str], Document] = load_document

    def start(self) -> probes.System:
        """The system, with what it has read before."""
        start = system(self.loaded, self.system)
        if self.state is not None and isinstance(start, Engine):
            start.restore(self.state, self.loaded.origin)
        return start


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a task gave.

    Attributes:
        results: scores of its series, or of parts of them.
        summary: figures over all of them.
    """

    results: Sequence[Scores]
    summary: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Task(ABC):
    """A test; its fields are its settings, under the names that a report has for them.

    Attributes:
        name: as ``infini eval`` and its reports call it.
        unit: what a score is, in words.
        systems: those that it can be measured on.
        needs_memory: whether a model without a memory has nothing to measure on the system ``memory``.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    systems: ClassVar[tuple[str, ...]] = SYSTEMS
    needs_memory: ClassVar[bool] = True

    @property
    def parts(self) -> tuple[str, ...]:
        """What else of the model has a part in it, where it has one: ``reranker``, ``reader``."""
        return ()

    @property
    def texts(self) -> Path | None:
        """Files that the trials are made of, if any: the task's ``hay`` or ``data``."""
        found: Path | None = getattr(self, "hay", getattr(self, "data", None))
        return found

    def files(self) -> list[Path]:
        """The same one by one, in the order in which they are read."""
        return [] if self.texts is None else text_files(self.texts)

    def check(self, system: str) -> None:
        """Refuses what could not be measured, before a model is loaded.

        Raises:
            UsageFailure: the task is not for this system, or its settings contradict each other.
        """
        if system not in self.systems:
            raise UsageFailure(
                f"{self.name} is not measured on the system {system}", f"Use one of {', '.join(self.systems)}."
            )

    def settings(self, bench: Bench) -> dict[str, Any]:
        """What the figures depend on beside the model, the system, the seed and the texts, in plain values."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in own.items() if name not in ("hay", "data")}

    @abstractmethod
    def draw(self, bench: Bench) -> Sequence[Series | Measured]:
        """The trials."""

    def summary(self, results: Sequence[Scores]) -> dict[str, Any]:
        """Figures over all results."""
        return {}

    def measure(self, bench: Bench) -> Outcome:
        """Draws the trials, runs them and scores them."""
        series = self.draw(bench)

        def tell(scores: Scores) -> None:
            labels = ", ".join(f"{name} {value}" for name, value in scores.labels.items())
            bench.reporter.detail(f"{labels}: {scores.mean:.3f} over {len(scores.scores)}")

        with bench.reporter.progress(sum(one.tokens for one in series), "measuring") as advance:
            results = probes.run(
                bench.start(),
                bench.loaded.tokenizer.decode,
                series,
                record=bench.record,
                on_series=tell,
                on_tokens=advance,
            )
        return Outcome(results, self.summary(results))


def mean(results: Sequence[Scores]) -> float:
    """Mean over all results, each counting the same."""
    return sum(one.mean for one in results) / len(results)


def by_length(results: Sequence[Scores]) -> dict[int, float]:
    """Mean score over all kinds, by length in tokens, shortest first."""
    lengths = sorted({int(one.labels["length"]) for one in results})
    return {length: mean([one for one in results if one.labels["length"] == length]) for length in lengths}
