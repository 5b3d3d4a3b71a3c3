"""Texts with questions and summaries, for training memory to answer: our own records, and two public sets' as they come."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InfiniError


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """A text and what was written about it.

    Attributes:
        text: the whole text.
        questions: each with its right answers, at least one.
        summaries: of the whole text.
    """

    text: str
    questions: tuple[tuple[str, tuple[str, ...]], ...]
    summaries: tuple[str, ...] = ()


def load_stories(path: Path) -> list[Story]:
    """Reads JSON lines, plain or gzipped, of one file or of all in a folder.

    A record is ``{"text", "questions": [{"question", "answers": [...]}], "summaries": [...]}``, the last two optional,
    or a record of FairytaleQA (``sections``, ``qas``) or of SQuALITY (``document``, ``questions`` with ``references``,
    whose first asks for the plot).

    Raises:
        InfiniError: there is no record, or one is of another kind.
    """
    files = [path] if path.is_file() else sorted([*path.glob("**/*.jsonl"), *path.glob("**/*.jsonl.gz")])
    stories = [story for file in files for story in _records(file)]
    if not stories:
        raise InfiniError(f"no texts with questions at {path}", "give a .jsonl or .jsonl.gz file, or a folder of them")
    return stories


def _records(file: Path) -> Iterator[Story]:
    opener: Any = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield _story(json.loads(line))
                except (ValueError, KeyError, TypeError, IndexError) as error:
                    raise InfiniError(
                        f"{file}, line {number}: not a text with questions ({error!r})",
                        'write {"text": ..., "questions": [{"question": ..., "answers": [...]}]} a line',
                    ) from error


def _story(record: dict[str, Any]) -> Story:
    if "sections" in record:
        return Story("\n\n".join(record["sections"]), _questions(record["qas"]))
    if "document" in record:
        plot = record["questions"][0]["references"]
        return Story(record["document"], (), tuple(plot))
    return Story(record["text"], _questions(record.get("questions", [])), tuple(record.get("summaries", ())))


def _questions(records: list[dict[str, Any]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((record["question"], tuple(record["answers"])) for record in records if record["answers"])
