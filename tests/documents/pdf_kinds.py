"""Six kinds of PDF, and what a reader finds on one page of each: the text is written out by hand beside the drawing."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from document_helpers import break_page_content, break_page_object
from PIL import Image
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped]
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from reportlab.platypus import Paragraph, Table  # type: ignore[import-untyped]

LIGATURES = "TimesWithLigatures"
BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=11, leading=14)


@dataclass(frozen=True)
class Kind:
    """A kind of PDF.

    Attributes:
        make: Draws it.
        page: Physical page that was read by hand.
        expected: What stands on it, in reading order, without running heads, page numbers and marks of footnotes.
    """

    make: Callable[[], bytes]
    page: int
    expected: str


def _canvas(buffer: io.BytesIO) -> Canvas:
    return Canvas(buffer, pagesize=A4, pageCompression=1, invariant=1)


def _lines(canvas: Canvas, lines: Sequence[str], *, left: float = 70, top: float = 740, leading: float = 14) -> None:
    for number, line in enumerate(lines):
        canvas.drawString(left, top - leading * number, line)


FILLERS = (
    [
        "The keeper's log speaks of wind and of little else in that month, for it blew from",
        "the north on every day but two. He mended nets.",
    ],
    [
        "In the second week a barque was seen to the west under bare poles. Nobody on the",
        "island could have helped her, and she was not seen again.",
    ],
    [
        "The oil ran low in March. He lit the lamp an hour later each night, and noted in the",
        "margin how many hours of darkness he had saved in this way.",
    ],
    [
        "His brother came with the April boat and stayed until the summer. They whitewashed",
        "the tower from the gallery down, which took them nineteen days.",
    ],
    [
        "When the inspector landed he found nothing to complain of except the clock. It was",
        "eleven minutes slow, as it had been for years.",
    ],
)


def _filler(number: int) -> list[str]:
    return FILLERS[number - 1]


def single_column() -> bytes:
    """A book's pages: running head, page number, broken words, ligatures, and two footnotes."""
    if LIGATURES not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(pdfmetrics.Font(LIGATURES, "Times-Roman", "MacRomanEncoding"))
    buffer = io.BytesIO()
    canvas = _canvas(buffer)
    for number in range(1, 6):
        canvas.setFont("Times-Italic", 10)
        canvas.drawString(240, 800, "The Keeper of Sule Rock")
        canvas.setFont("Times-Roman", 11)
        if number == 3:
            _lines(
                canvas,
                [
                    "The light was lit for the first time in the autumn of that year, and the keep-",
                    "er wrote in his book that it could be seen from the harbour at Stennick, which",
                    "lies nineteen miles to the south. His wife, who had been born there, did not be-",
                    "lieve him. She had looked for it from her mother's window and had seen noth-",
                    "ing but rain.",
                ],
            )
            text = canvas.beginText(70, 656)
            for part, raised in (
                ("In winter the boat came once in six weeks.", False),
                ("1", True),
                (" It brought oil, flour and letters", False),
                ("2", True),
                (" when the", False),
            ):
                text.setFont("Times-Roman", 7 if raised else 11)
                text.setRise(4 if raised else 0)
                text.textOut(part)
            canvas.drawText(text)
            canvas.setFont(LIGATURES, 11)
            _lines(
                canvas,
                ["landing was possible, and nothing when it was not. The \ufb01rst \ufb02ag was white."],
                top=642,
            )
            canvas.setFont("Times-Roman", 9)
            _lines(
                canvas,
                ["1 The log for 1861 has eight landings.", "2 None of the letters has been found."],
                top=120,
                leading=12,
            )
            canvas.setFont("Times-Roman", 11)
        else:
            _lines(canvas, _filler(number))
        canvas.drawString(290, 40, str(number))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


SINGLE_COLUMN = """
The light was lit for the first time in the autumn of that year, and the keeper wrote in his book that it could be seen
from the harbour at Stennick, which lies nineteen miles to the south. His wife, who had been born there, did not believe
him. She had looked for it from her mother's window and had seen nothing but rain. In winter the boat came once in six
weeks. It brought oil, flour and letters when the landing was possible, and nothing when it was not. The first flag was
white.
1 The log for 1861 has eight landings.
2 None of the letters has been found.
"""

LEFT = [
    "Kelp was burned on these shores for",
    "a hundred years. The ash went to the",
    "makers of glass and of soap, and the",
    "rent of a whole parish could be paid",
    "with it. When the price fell, between",
    "one spring and the next, the people",
    "had neither land nor boats to live by.",
]
RIGHT = [
    "Those who stayed turned to the her-",
    "ring. It was a hard trade, because the",
    "shoals moved from year to year, and a",
    "village that had built its curing sheds",
    "in one bay might find the fish in an-",
    "other. The sheds at Orran stood for",
    "thirty years and were used in nine.",
]


def two_columns(drawn: Literal["by column", "by line", "in one piece"]) -> bytes:
    """A journal's pages, drawn column by column, or line by line across both columns, or likewise without a pause."""
    buffer = io.BytesIO()
    canvas = _canvas(buffer)
    for number in range(1, 4):
        canvas.setFont("Times-Roman", 11)
        if number != 2:
            _lines(canvas, _filler(number))
            canvas.showPage()
            continue
        canvas.drawString(70, 780, "On the burning of kelp, and what came after it in the northern parishes")
        if drawn == "by column":
            _lines(canvas, LEFT)
            _lines(canvas, RIGHT, left=310)
        else:
            text = canvas.beginText()
            for row, pair in enumerate(zip(LEFT, RIGHT, strict=True)):
                for left, line in zip((70, 310), pair, strict=True):
                    if drawn == "by line":
                        canvas.drawString(left, 740 - 14 * row, line)
                    else:
                        text.setTextOrigin(left, 740 - 14 * row)
                        text.textOut(line)
            canvas.drawText(text)
        canvas.drawString(70, 600, "Communicated on the 13th of March to the members who were there.")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


TWO_COLUMNS = """
On the burning of kelp, and what came after it in the northern parishes
Kelp was burned on these shores for a hundred years. The ash went to the makers of glass and of soap, and the rent of a
whole parish could be paid with it. When the price fell, between one spring and the next, the people had neither land
nor boats to live by. Those who stayed turned to the herring. It was a hard trade, because the shoals moved from year to
year, and a village that had built its curing sheds in one bay might find the fish in another. The sheds at Orran stood
for thirty years and were used in nine. Communicated on the 13th of March to the members who were there.
"""

BOOKMARKS = (
    (1, 0, "Preface"),
    (3, 0, "Installation"),
    (3, 1, "What you need"),
    (4, 1, "Mounting the pump"),
    (4, 2, "On a wall"),
    (5, 0, "Spare parts"),
)


def manual() -> bytes:
    """A manual with nested bookmarks, a preface on pages i and ii, and an appendix on page A-1."""
    buffer = io.BytesIO()
    canvas = _canvas(buffer)
    canvas.addPageLabel(0, "ROMAN_LOWER", 1)
    canvas.addPageLabel(2, "ARABIC", 1)
    canvas.addPageLabel(4, "ARABIC", 1, "A-")
    for number in range(1, 6):
        for page, level, title in BOOKMARKS:
            if page == number:
                canvas.bookmarkPage(title)
                canvas.addOutlineEntry(title, title, level)
        canvas.setFont("Helvetica", 10)
        if number == 4:
            canvas.drawString(70, 770, "Mounting the pump")
            _lines(
                canvas,
                [
                    "Choose a dry place that is out of the sun. The pump weighs eleven kilograms: have a",
                    "second person hold it while you mark the holes.",
                    "1. Drill four holes of 8 mm, at least 60 mm deep.",
                    "2. Push in the plugs and screw the bracket on by hand.",
                    "3. Hang the pump on the bracket and tighten the screws to 12 Nm.",
                    "WARNING: Do not connect the mains before the cover is closed.",
                ],
            )
        else:
            _lines(canvas, _filler(number))
        canvas.drawString(290, 40, ("i", "ii", "1", "2", "A-1")[number - 1])
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


MANUAL = """
Mounting the pump
Choose a dry place that is out of the sun. The pump weighs eleven kilograms: have a second person hold it while you mark
the holes.
1. Drill four holes of 8 mm, at least 60 mm deep.
2. Push in the plugs and screw the bracket on by hand.
3. Hang the pump on the bracket and tighten the screws to 12 Nm.
WARNING: Do not connect the mains before the cover is closed.
"""

COLUMNS = ["Station", "Depth (m)", "Salinity", "Remarks"]
ROWS = [
    ["Harbour mouth", "4.5", "31.2", "after rain"],
    ["Outer buoy", "17", "34.8", "calm"],
    ["Sule Rock, west", "62", "35.1", "swell, two nets lost"],
    ["Sule Rock, east", "58", "35.0", "as before"],
    ["Deep ground", "140", "35.3", "not sampled in May"],
    ["Stennick Sound", "21", "33.9", "strong tide"],
]


def table_heavy() -> bytes:
    """Reports that are mostly tables."""
    buffer = io.BytesIO()
    canvas = _canvas(buffer)
    for number in range(1, 4):
        text = f"Table {number} gives the means of the stations. {' '.join(_filler(number))}"
        paragraph = Paragraph(text, BODY)
        paragraph.wrap(440, 100)
        paragraph.drawOn(canvas, 70, 700)
        for top, rows in ((590, ROWS[number : number + 3]), (470, ROWS[number - 1 : number + 1])):
            table = Table([COLUMNS, *rows])
            table.wrap(440, 400)
            table.drawOn(canvas, 70, top)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


TABLE_HEAVY = """
Table 2 gives the means of the stations. In the second week a barque was seen to the west under bare poles. Nobody on
the island could have helped her, and she was not seen again.
Station Depth (m) Salinity Remarks
Sule Rock, west 62 35.1 swell, two nets lost
Sule Rock, east 58 35.0 as before
Deep ground 140 35.3 not sampled in May
Station Depth (m) Salinity Remarks
Outer buoy 17 34.8 calm
Sule Rock, west 62 35.1 swell, two nets lost
"""


def partly_scanned() -> bytes:
    """Typed pages, and pages 2 and 4 that are pictures of paper."""
    buffer = io.BytesIO()
    canvas = _canvas(buffer)
    for number in range(1, 6):
        if number in (2, 4):
            grey = Image.linear_gradient("L").resize((300, 400))
            canvas.drawImage(ImageReader(grey), 0, 0, *A4)
        else:
            canvas.setFont("Courier", 10)
            _lines(canvas, _filler(number))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


PARTLY_SCANNED = """
The oil ran low in March. He lit the lamp an hour later each night, and noted in the margin how many hours of darkness
he had saved in this way.
"""


def damaged() -> bytes:
    """The book of one column with pages 2 and 5 broken."""
    return break_page_object(break_page_content(single_column(), 2), 5)


KINDS = {
    "single column": Kind(single_column, 3, SINGLE_COLUMN),
    "two columns, by column": Kind(lambda: two_columns("by column"), 2, TWO_COLUMNS),
    "two columns, by line": Kind(lambda: two_columns("by line"), 2, TWO_COLUMNS),
    "two columns, in one piece": Kind(lambda: two_columns("in one piece"), 2, TWO_COLUMNS),
    "manual": Kind(manual, 4, MANUAL),
    "table heavy": Kind(table_heavy, 2, TABLE_HEAVY),
    "partly scanned": Kind(partly_scanned, 3, PARTLY_SCANNED),
    "damaged": Kind(damaged, 3, SINGLE_COLUMN),
}
