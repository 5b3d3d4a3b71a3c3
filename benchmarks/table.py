"""Every task of ``infini eval`` in small, on the sample book.

    python -m benchmarks.table [--model NAME]

Each row is a run of ``infini eval``; its JSON object goes to stdout, a line each.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from infini_cli.app import main as infini

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
BOOK = SAMPLES / "four-pounds-of-lead.md"
SEED = "20240410"


def stories(folder: Path) -> Path:
    """The sample book with its questions, each with its chapter, and its summary, as ``infini eval`` reads them."""
    questions = [json.loads(line) for line in (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    book = BOOK.read_text(encoding="utf-8")
    chapters = {
        title.strip(): text.strip() for title, _, text in (part.partition("\n") for part in book.split("\n## "))
    }
    record = {
        "text": book,
        "questions": [
            {"question": q["question"], "answers": [q["answer"], *q["accept"]], "evidence": chapters[q["chapter"]]}
            for q in questions
        ],
        "summaries": [(SAMPLES / "summary.txt").read_text(encoding="utf-8").strip()],
    }
    file = folder / "sample.jsonl"
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return file


def with_another(sample: Path) -> Path:
    """The sample's record and a second one, the README, so that each text can be asked what the other one tells."""
    asked = [
        {"question": "Which model is the default one?", "answers": ["SmolLM2-135M-Instruct"]},
        {"question": "How many tokens has a segment?", "answers": ["1,024"]},
    ]
    readme = (SAMPLES.parent / "README.md").read_text(encoding="utf-8")
    file = sample.with_name("both.jsonl")
    other = json.dumps({"text": readme, "questions": asked})
    file.write_text(f"{sample.read_text(encoding='utf-8')}{other}\n", encoding="utf-8")
    return file


def rows(sample: Path, both: Path) -> list[list[str]]:
    """Arguments of each run.

    Args:
        sample: See `stories`.
        both: See `with_another`.
    """
    book = str(BOOK)
    return [
        ["passkey", "--length", "4k", "--limit", "1"],
        ["passkey", "--length", "4k", "--limit", "1", "--system", "local"],
        ["passkey", "--length", "4k", "--limit", "1", "--hay", book],
        ["needle", "--length", "4k", "--limit", "1", "--hay", book],
        ["facts", "--length", "4k", "--limit", "1", "--hay", book],
        *(
            ["ppl", "--length", "8k", "--limit", "1", "--data", book, "--system", system]
            for system in ("memory", "local", "window", "sinks", "full", "knn")
        ),
        ["qa", "--limit", "6", "--data", str(sample)],
        ["qa", "--limit", "6", "--data", str(sample), "--view", "memory"],
        ["refusal", "--limit", "4", "--data", str(both)],
        ["summary", "--data", str(sample)],
    ]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    model = parser.parse_args().model
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        sample = stories(Path(folder))
        for row in rows(sample, with_another(sample)):
            code = infini(["eval", *row, "--model", model, "--seed", SEED, "--format", "jsonl"])
            failed = failed or code
            sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main())
