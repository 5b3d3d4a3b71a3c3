"""Questions on tables: ten tables in PDFs, two questions on each, answered by `ask`; how many answers have the right cell.

python -m benchmarks.tables [--model NAME]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import infini_attention
from infini_attention.documents.source import load_document
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

SAMPLE = Path(__file__).parents[1] / "samples" / "four-pounds-of-lead.md"
# A header, three rows, and which cells are asked for in which words.
TABLES = (
    ("Region 2021 2022", "North 112.4 118.9", "South 98.1 97.6", "East 45.0 51.3"),
    ("Year Births Deaths", "1901 340 212", "1902 355 198", "1903 329 240"),
    ("Item Price Stock", "Lamp 12.50 40", "Chair 31.00 8", "Desk 99.90 3"),
    ("City Population Area", "Arnstad 48200 61", "Brekke 9100 17", "Corvik 130400 212"),
    ("Model Weight Range", "A10 410 35", "B20 522 48", "C30 655 60"),
    ("Crop 1998 2008", "Wheat 512 608", "Barley 230 199", "Oats 88 75"),
    ("Team Won Lost", "Rovers 14 6", "United 11 9", "Harriers 5 15"),
    ("Month Rain Sun", "March 61 120", "April 48 155", "May 39 201"),
    ("Pump Flow Pressure", "P1 12.4 3.1", "P2 18.0 2.7", "P3 25.5 2.2"),
    ("Metal Density Melting", "Lead 11.34 327", "Tin 7.27 232", "Zinc 7.14 420"),
)
WORDINGS = (
    "What was South's figure in 2022?",
    "What was East's figure in 2021?",
    "How many deaths were there in 1902?",
    "How many births were there in 1903?",
    "What is the price of the chair?",
    "What is the stock of the desk?",
    "What is the population of Brekke?",
    "What is the area of Corvik?",
    "What is the weight of the B20?",
    "What is the range of the A10?",
    "What was the figure for barley in 2008?",
    "What was the figure for oats in 1998?",
    "How many games has United won?",
    "How many games have the Harriers lost?",
    "How much rain fell in April?",
    "How much sun was there in May?",
    "What is the pressure of P2?",
    "What is the flow of P3?",
    "What is the density of tin?",
    "What is the melting point of zinc?",
)
ANSWERS = (
    *("97.6", "45.0", "198", "329", "31.00", "3", "9100", "212", "522", "35"),
    *("199", "88", "11", "15", "48", "201", "2.7", "25.5", "7.27", "420"),
)


def drawn(path: Path, table: tuple[str, ...]) -> None:
    """A PDF of one page: a paragraph, the table, and a paragraph."""
    canvas = Canvas(str(path))
    paragraphs = [part for part in SAMPLE.read_text(encoding="utf-8").split("\n\n") if len(part) > 400]
    for place, text in ((760, paragraphs[0][:400]), (560, paragraphs[1][:400])):
        for number in range(0, len(text), 80):
            canvas.drawString(60, place - 0.18 * number, text[number : number + 80])
    for row, line in enumerate(table):
        for column, cell in enumerate(line.split()):
            canvas.drawString(60 + 140 * column, 660 - 16 * row, cell)
    canvas.save()


def main() -> None:
    """Prints a JSON line a question, and the count of right answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m")
    loaded = infini_attention.load_model(parser.parse_args().model)
    right = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(TABLES):
            path = Path(folder) / f"{number}.pdf"
            drawn(path, table)
            session = infini_attention.Session(loaded)
            session.add([load_document(str(path))])
            for asked in (2 * number, 2 * number + 1):
                answer = session.ask(WORDINGS[asked]).text
                hit = ANSWERS[asked] in answer.replace(",", "").rstrip(".").split() or f"{ANSWERS[asked]}." in answer
                right += hit
                print(
                    json.dumps({"question": WORDINGS[asked], "answer": answer, "right": ANSWERS[asked], "hit": hit}),
                    flush=True,
                )
    print(json.dumps({"right": right, "of": len(WORDINGS)}))


if __name__ == "__main__":
    main()
