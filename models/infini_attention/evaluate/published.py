"""RULER and BABILong, read from the files that those tests publish or make, and scored by their protocols.

RULER (Hsieh et al. 2024, arXiv 2404.06654) writes a line of JSON for each trial: ``input``, the whole prompt, and
``outputs``, what has to be named; its last line is the question. BABILong (Kuratov et al. 2024, arXiv 2406.10149) has
``input``, ``question`` and ``target``; it is run here without its instructions and examples, which it calls optional.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import torch

from ..data.facts import PLACES
from ..errors import InfiniError
from ..model.chat import stop_ids
from .probes import Probe, Scores, Series, spread
from .task import Bench, Task, mean

Record: TypeAlias = "Mapping[str, Any]"
SUFFIXES = (".jsonl", ".json")
# RULER lets its tasks generate up to so many tokens; BABILong up to 20 or so.
RULER_TOKENS, BABILONG_TOKENS = 128, 20
# What BABILong's first tasks may be answered with; for others, what any trial of the same file is answered with.
LABELS = {
    **dict.fromkeys(("qa1", "qa2", "qa3", "qa4"), frozenset(PLACES)),
    "qa5": frozenset(("bill", "fred", "jeff", "mary", "apple", "football", "milk")),
}


@dataclasses.dataclass(frozen=True)
class PublishedTask(Task):
    """A test whose trials are read from its own files.

    Attributes:
        data: a file, or a folder of ``.jsonl`` and ``.json`` files; each file is measured by itself.
        limit: trials of a file, spread over all; ``None``: all.
    """

    data: Path
    limit: int | None = None

    def files(self) -> list[Path]:
        if self.data.is_file():
            return [self.data]
        return sorted(file for file in self.data.rglob("*") if file.suffix in SUFFIXES)

    def draw(self, bench: Bench) -> list[Series]:
        series = []
        for kind, records in read(self.data, self.files(), self.fields).items():
            chosen = spread(records, self.limit)
            probes = functools.partial(self._probe, bench, chosen, self.known(kind, records))
            tokens = sum(len(record["input"]) // 4 for record in chosen)
            series.append(Series({"kind": kind}, len(chosen), probes, tokens))
        return series

    def summary(self, results: Sequence[Scores]) -> dict[str, Any]:
        return {"mean": mean(results)}

    def _probe(self, bench: Bench, records: Sequence[Record], known: frozenset[str], trial: int) -> Probe:
        record = records[trial]
        text, question = self.split(record)
        encode, loaded = bench.loaded.encode, bench.loaded
        return Probe(
            (torch.tensor(encode(text), dtype=torch.long),),
            tuple(encode(question)),
            self.tokens,
            lambda answer: {"right": self.score(answer, record, known)},
            stop_ids(loaded.model, loaded.tokenizer),
        )

    fields: ClassVar[tuple[str, ...]]
    tokens: ClassVar[int]

    def known(self, kind: str, records: Sequence[Record]) -> frozenset[str]:
        """All answers that a file's trials may have, in lower case, where the score depends on them."""
        return frozenset()

    @abstractmethod
    def split(self, record: Record) -> tuple[str, str]:
        """What is read into memory, and the question, which stays in view."""

    @abstractmethod
    def score(self, answer: str, record: Record, known: frozenset[str]) -> float:
        """0 (wrong) to 1 (right)."""


@dataclasses.dataclass(frozen=True)
class RulerTask(PublishedTask):
    """RULER's tasks, from files that its own scripts made."""

    name: ClassVar[str] = "ruler"
    unit: ClassVar[str] = "RULER's recall of all strings (of one of them for its questions)"
    fields: ClassVar[tuple[str, ...]] = ("input", "outputs")
    tokens: ClassVar[int] = RULER_TOKENS

    def known(self, kind: str, records: Sequence[Record]) -> frozenset[str]:
        # Its question tasks list other ways to put one answer; all others list what has to be named.
        return frozenset({"any"} if any(part.startswith("qa") for part in kind.split("/")) else ())

    def split(self, record: Record) -> tuple[str, str]:
        text = str(record["input"]).rstrip("\n")
        head, line, question = text.rpartition("\n")
        return head + line, question + str(record.get("answer_prefix", ""))

    def score(self, answer: str, record: Record, known: frozenset[str]) -> float:
        found = [str(part).lower() in answer.lower() for part in record["outputs"]]
        return float(any(found)) if known else sum(found) / len(found)


@dataclasses.dataclass(frozen=True)
class BabilongTask(PublishedTask):
    """BABILong's tasks, from its published files."""

    name: ClassVar[str] = "babilong"
    unit: ClassVar[str] = "share of answers right, as BABILong compares them"
    fields: ClassVar[tuple[str, ...]] = ("input", "question", "target")
    tokens: ClassVar[int] = BABILONG_TOKENS

    def known(self, kind: str, records: Sequence[Record]) -> frozenset[str]:
        for part in kind.split("/"):
            if part in LABELS:
                return LABELS[part]
        return frozenset(one for record in records for one in _listed(record["target"]))

    def split(self, record: Record) -> tuple[str, str]:
        return str(record["input"]), f"\n\nQuestion: {record['question']}\nAnswer:"

    def score(self, answer: str, record: Record, known: frozenset[str]) -> float:
        """1 if the first sentence names what was asked for, and no other label that the question does not name."""
        said = answer.lower().split(".")[0].split("<context>")[0].split("<example>")[0]
        asked = str(record["question"]).lower()
        named = {label for label in known if label in said and label not in asked}
        return float(named == set(_listed(record["target"])))


def read(path: Path, files: Sequence[Path], fields: Iterable[str]) -> dict[str, list[Record]]:
    """Trials by the file that they stand in, under its place in the path, without its ending.

    Raises:
        InfiniError: there is no such file, or one holds something else.
    """
    found = {}
    for file in files:
        kind = (file.relative_to(path) if file != path else Path(file.name)).with_suffix("").as_posix()
        try:
            text = file.read_text(encoding="utf-8")
            records = json.loads(text) if text.lstrip().startswith("[") else list(map(json.loads, text.splitlines()))
            if not records or any(field not in record or not record[field] for record in records for field in fields):
                raise ValueError("a trial lacks a field")
        except (ValueError, TypeError, OSError) as error:
            raise InfiniError(
                f"{file} is not a file of that test: {error}", f"each trial has to have {', '.join(fields)}"
            ) from error
        found[kind] = records
    if not found:
        raise InfiniError(f"no trials at {path}", f"give a {' or '.join(SUFFIXES)} file, or a folder of them")
    return found


def _listed(target: object) -> list[str]:
    """The parts of an answer, in lower case; several have commas between them."""
    return [part.strip() for part in str(target).lower().split(",")]
