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
class Question:
    """A question about a text.

    Attributes:
        question: as a person would put it.
        answers: right ones, at least one.
        evidence: the part of the text that the answer stands in, where that is known.
    """

    question: str
    answers: tuple[str, ...]
    evidence: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """A text and what was written about it.

    Attributes:
        text: the whole text.
        questions: about the text.
        summaries: of the whole text.
    """

    text: str
    questions: tuple[Question, ...]
    summaries: tuple[str, ...] = ()

    @property
    def summary_words(self) -> int:
        """Words of a summary, on average; there has to be one."""
        return sum(len(text.split()) for text in self.summaries) // len(self.summaries)


def load_stories(path: Path) -> list[Story]:
    """Reads JSON lines, plain or gzipped, of one file or of all in a folder.

    A record is ``{"text", "questions": [{"question", "answers": [...], "evidence"}], "summaries": [...]}``; questions,
    summaries and ``evidence``, the part of the text with the answer, are optional. Or it is a record of FairytaleQA
    (``sections``, ``qas``) or of SQuALITY (``document``, ``questions`` with ``references``, whose first asks for the plot).

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
        sections = record["sections"]
        asked = [{**qa, "evidence": _sections(sections, qa["section"])} for qa in record["qas"]]
        return Story("\n\n".join(sections), _questions(asked))
    if "document" in record:
        plot = record["questions"][0]["references"]
        return Story(record["document"], (), tuple(plot))
    return Story(record["text"], _questions(record.get("questions", [])), tuple(record.get("summaries", ())))


def _sections(sections: list[str], numbers: str) -> str:
    """Sections by their numbers, from 1, with commas between them."""
    return "\n\n".join(sections[int(number) - 1] for number in numbers.split(","))


def _questions(records: list[dict[str, Any]]) -> tuple[Question, ...]:
    return tuple(
        Question(record["question"], tuple(record["answers"]), record.get("evidence"))
        for record in records
        if record["answers"]
    )
