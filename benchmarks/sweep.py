"""Many PDFs read, and their words held against those of pypdf and of pdfium alone.

    python -m benchmarks.sweep FOLDER [--most-pages 12]

Prints a line of JSON for each file that stands out, and one for all of them: files with 20 words or more that give under 0.9 of
the words that either library finds, with and without a note that tells so, and of those that both find; files whose words are
glued or torn, where both libraries agree that they are not. What stands outside the page does not count. Words are counted before
the clean-up, which tells itself what it leaves out.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from infini_attention.documents.extracted import Extracted
from infini_attention.documents.isolation import Isolation
from infini_attention.documents.letters import normalise
from infini_attention.documents.pdf_reading import extract
from infini_attention.errors import InfiniError

WORD = re.compile(r"[^\W_]+")
FEWEST_WORDS = 20
RECALL, GLUED, TORN = 0.9, 0.005, 0.004
# What is said of pages: whoever reads the note knows that words are missing.
TOLD = ("scan", "garbled", "recognised", "stopped", "partial")


def words_of(text: str) -> list[str]:
    """The words of a text as both sides write them."""
    return WORD.findall(normalise(text)[0].casefold())


def of_pypdf(path: Path, pages: Sequence[int]) -> list[str]:
    """pypdf's words of some pages, counted from 1."""
    from pypdf import PdfReader

    reader = PdfReader(path)
    return [word for number in pages for word in words_of(reader.pages[number - 1].extract_text())]


def of_pdfium(path: Path, pages: Sequence[int]) -> list[str]:
    """pdfium's words of what is shown of some pages, counted from 1."""
    from pypdfium2 import PdfDocument

    pdf = PdfDocument(path)
    return [word for number in pages for word in words_of(pdf[number - 1].get_textpage().get_text_bounded())]


def joined(words: Sequence[str], others: Sequence[Sequence[str]]) -> int:
    """How many words are two words to each of the others, and one to none."""
    vocabulary = set().union(*others)
    pairs = set.intersection(*({one + two for one, two in pairwise(other)} for other in others))
    return sum(1 for word in words if word in pairs and word not in vocabulary)


def parted(words: Sequence[str], others: Sequence[Sequence[str]]) -> int:
    """How many pairs of words are one word to each of the others, and a pair to none."""
    vocabulary = set.intersection(*map(set, others))
    pairs = set().union(*(set(pairwise(other)) for other in others))
    return sum(1 for pair in pairwise(words) if "".join(pair) in vocabulary and pair not in pairs)


def measure(path: Path, most_pages: int) -> dict[str, object] | None:
    """What a file gives; None where neither library finds enough words in it."""
    request = {"name": path.name, "selection": f"1-{most_pages}", "password": None, "backend": "pdfium", "ocr": None}
    try:
        found: Extracted = extract(path.read_bytes(), request, Isolation())
    except InfiniError as error:
        return {"file": path.name, "error": error.message}
    try:
        others = [of_pypdf(path, found.chosen), of_pdfium(path, found.chosen)]
    except Exception as error:  # noqa: BLE001
        return {"file": path.name, "skipped": str(error)}
    wanted = Counter(others[0]) | Counter(others[1])
    if wanted.total() < FEWEST_WORDS:
        return None
    agreed = Counter(others[0]) & Counter(others[1])
    ours = [word for page in found.pages.values() for word in words_of(page.text)]
    return {
        "file": path.name,
        "words": wanted.total(),
        "recall": round((Counter(ours) & wanted).total() / wanted.total(), 4),
        "recall_agreed": round((Counter(ours) & agreed).total() / max(1, agreed.total()), 4),
        "glued": round(joined(ours, others) / max(1, len(ours)), 5),
        "torn": round(parted(ours, others) / max(1, len(ours)), 5),
        "told": bool(found.failed) or any(found.numbers(what) for what in TOLD),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most-pages", type=int, default=12)
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    counts: Counter[str] = Counter()
    recalls: list[float] = []
    for path in sorted(options.folder.rglob("*.pdf")):
        result = measure(path, options.most_pages)
        if result is None or "skipped" in result:
            counts["left out"] += 1
            continue
        counts["files"] += 1
        told = {
            "error": "error" in result,
            "low": float(str(result.get("recall", 1))) < RECALL,
            "low where both agree": float(str(result.get("recall_agreed", 1))) < RECALL,
            "glued": float(str(result.get("glued", 0))) > GLUED,
            "torn": float(str(result.get("torn", 0))) > TORN,
        }
        told["low without a note"] = told["low"] and not result["told"]
        counts.update(kind for kind, is_so in told.items() if is_so)
        if "recall" in result:
            recalls.append(float(str(result["recall"])))
        if any(told.values()):
            print(json.dumps(result, ensure_ascii=False), flush=True)
    median = sorted(recalls)[len(recalls) // 2] if recalls else None
    print(json.dumps({**counts, "median_recall": median}), flush=True)


if __name__ == "__main__":
    main()
