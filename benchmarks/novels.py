"""Questions on whole books, joined with the books and split by book: for training a reader and for judging one.

Of the books that have questions, sorted by name, those numbered 0, 4 and 8 of every 13 are for development, and nothing is
ever trained on them; all others are for training.

    python -m benchmarks.novels books.jsonl.gz questions.jsonl.gz [--summaries summaries.jsonl.gz] -o FOLDER
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PERIOD, DEVELOPMENT = 13, (0, 4, 8)


def records(file: Path) -> Iterator[dict[str, Any]]:
    """The JSON records of a gzipped file, a line each."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def split(books: Path, questions: Path, summaries: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """Texts with their questions, in the form that `--questions` takes, for ``train`` and ``dev``.

    Args:
        books: records with ``file`` and ``text``.
        questions: records with ``book``, ``question``, ``answer1`` and ``answer2``.
        summaries: records with ``book`` and ``summary``.
    """
    told = collections.defaultdict(list)
    for one in records(summaries) if summaries else ():
        told[one["book"]].append(one["summary"])
    asked = collections.defaultdict(list)
    for one in records(questions):
        asked[one["book"]].append({"question": one["question"], "answers": [one["answer1"], one["answer2"]]})
    texts = {one["file"]: one["text"] for one in records(books) if one["file"] in asked}
    parts: dict[str, list[dict[str, Any]]] = {"train": [], "dev": []}
    for number, name in enumerate(sorted(texts)):
        part = "dev" if number % PERIOD in DEVELOPMENT else "train"
        story = {"book": name, "text": texts[name], "questions": asked[name]}
        parts[part].append(story | ({"summaries": told[name]} if name in told else {}))
    return parts


def main() -> None:
    """Writes ``train.jsonl.gz`` and ``dev.jsonl.gz``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("books", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--summaries", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, stories in split(options.books, options.questions, options.summaries).items():
        with gzip.open(options.out / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(story) + "\n" for story in stories)


if __name__ == "__main__":
    main()
