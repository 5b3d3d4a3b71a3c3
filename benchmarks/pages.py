"""Pages a second of reading PDFs on one core, against pypdf's plain text of the same pages.

    python -m benchmarks.pages FILE... [--pages 1-200] [--rounds 3]

Both sides take turns, each in a process of its own that begins with the file's bytes in memory. Seconds are those of the processor,
so that a busy machine does not count. Reading is all that `infini` does to have a document's paragraphs: the process with bounds
that parses the file is begun anew each time, and the clean-up is done.
Prints a JSON object a file: pages, pages/s of both (the best of the rounds), and the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import statistics
from io import BytesIO
from pathlib import Path

from infini_attention.documents.isolation import Isolation
from infini_attention.documents.pages import PageSelection
from infini_attention.documents.pdf import read_pdf


def read(data: bytes, pages: str | None) -> int:
    """Reads a PDF as `infini` does; how many pages it read."""
    selection = None if pages is None else PageSelection.parse(pages)
    return read_pdf(data, "it", "", selection=selection, ocr="off", isolation=Isolation()).pages_read or 0


def plain(data: bytes, pages: str | None) -> int:
    """Takes the text out with pypdf alone; of how many pages."""
    from pypdf import PdfReader

    logging.disable(logging.ERROR)
    reader = PdfReader(BytesIO(data))
    total = len(reader.pages)
    chosen = range(1, total + 1) if pages is None else PageSelection.parse(pages).resolve(total)
    for number in chosen:
        reader.pages[number - 1].extract_text()
    return len(chosen)


SIDES = {"read": read, "plain": plain}


def timed(side: str, data: bytes, pages: str | None) -> tuple[int, float]:
    """Pages, and pages a second of one side, by the time that the processor works for it and the processes it begins."""
    began = processor_time()
    count = SIDES[side](data, pages)
    return count, count / (processor_time() - began)


def processor_time() -> float:
    """Seconds of this process, and of those that it began and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(path: Path, pages: str | None, rounds: int) -> dict[str, object]:
    """Both sides in turns on one file."""
    data = path.read_bytes()
    speeds: dict[str, list[float]] = {side: [] for side in SIDES}
    count = 0
    for number in range(rounds):
        for side in sorted(SIDES, reverse=number % 2 == 1):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                pool.apply(os.getpid)
                count, speed = pool.apply(timed, (side, data, pages))
            speeds[side].append(speed)
    ratios = [ours / theirs for ours, theirs in zip(speeds["read"], speeds["plain"], strict=True)]
    return {
        "file": path.name,
        "pages": count,
        "read_pages_per_second": round(max(speeds["read"]), 1),
        "plain_pages_per_second": round(max(speeds["plain"]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--pages")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        # The processes that are begun from here keep to the same core.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for path in options.files:
        print(json.dumps(measure(path, options.pages, options.rounds)), flush=True)


if __name__ == "__main__":
    main()
