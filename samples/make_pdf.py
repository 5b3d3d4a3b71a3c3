"""Make the sample PDF from its Markdown: `python samples/make_pdf.py [--out FILE]`.

The same Markdown and the same reportlab give the same bytes, so the committed PDF can be checked.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY  # type: ignore[import-untyped, unused-ignore]
from reportlab.lib.pagesizes import A5  # type: ignore[import-untyped, unused-ignore]
from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped, unused-ignore]
from reportlab.lib.units import mm  # type: ignore[import-untyped, unused-ignore]
from reportlab.platypus import (  # type: ignore[import-untyped, unused-ignore]
    BaseDocTemplate,
    Frame,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
)

HERE = Path(__file__).resolve().parent
MARKDOWN = HERE / "four-pounds-of-lead.md"
PDF = MARKDOWN.with_suffix(".pdf")
AUTHOR = "The infini authors"

MARGIN = 19 * mm
HEAD_FONT = ("Times-Italic", 9)
FOLIO_FONT = ("Times-Roman", 9)

# The built-in fonts know only the characters of cp1252: write the nearest of those for the few others
# that an editor may slip into the Markdown.
SUBSTITUTES = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2212": "–", "\u2009": " ", "\u202f": " "})

BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=11, leading=14.5, alignment=TA_JUSTIFY,
                      firstLineIndent=5 * mm, allowWidows=0, allowOrphans=0)  # fmt: skip
FIRST = ParagraphStyle("first", parent=BODY, firstLineIndent=0)
QUOTE = ParagraphStyle("quote", parent=FIRST, leftIndent=7 * mm, rightIndent=7 * mm, fontSize=10.5,
                       spaceBefore=5, spaceAfter=5)  # fmt: skip
CHAPTER = ParagraphStyle("chapter", fontName="Times-Bold", fontSize=17, leading=21, spaceAfter=12 * mm)
TITLE = ParagraphStyle("title", fontName="Times-Bold", fontSize=25, leading=31, alignment=TA_CENTER,
                       spaceAfter=8 * mm)  # fmt: skip
SUBTITLE = ParagraphStyle("subtitle", fontName="Times-Italic", fontSize=12, leading=16, alignment=TA_CENTER)


@dataclass(frozen=True)
class Chapter:
    """A chapter: its heading and its paragraphs, each with whether it is a quotation."""

    heading: str
    paragraphs: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Book:
    """The Markdown taken apart: title, the lines under it, chapters."""

    title: str
    subtitle: tuple[str, ...]
    chapters: tuple[Chapter, ...]


def parse(markdown: str) -> Book:
    """Take apart the Markdown that the sample uses: `#`, `##`, paragraphs, `>` quotations.

    Raises ValueError if there is no title, or if a character has no place in the built-in fonts.
    """
    text = markdown.translate(SUBSTITUTES)
    text.encode("cp1252")  # UnicodeEncodeError is a ValueError and names the character and its place
    title = ""
    subtitle: list[str] = []
    chapters: list[tuple[str, list[tuple[str, bool]]]] = []
    for block in re.split(r"\n(?:>?[ \t]*\n)+", text.strip()):
        words = " ".join(line.removeprefix(">").strip() for line in block.splitlines())
        if block.startswith("## "):
            chapters.append((block[3:].strip(), []))
        elif block.startswith("# "):
            title = block[2:].strip()
        elif chapters:
            chapters[-1][1].append((words, block.startswith(">")))
        else:
            subtitle.append(words)
    if not title:
        raise ValueError("the Markdown has no title: its first line must start with '# '")
    return Book(title, tuple(subtitle), tuple(Chapter(h, tuple(p)) for h, p in chapters))


def markup(text: str) -> str:
    """Markdown emphasis as reportlab's inline markup."""
    return re.sub(r"\*([^*]+)\*", r"<i>\1</i>", escape(text))


def story(book: Book) -> list[Any]:
    """The book as reportlab flowables."""
    flow: list[Any] = [Spacer(1, 50 * mm), Paragraph(markup(book.title), TITLE)]
    flow += [Paragraph(markup(line), SUBTITLE) for line in book.subtitle]
    for chapter in book.chapters:
        flow += [NextPageTemplate("opening"), PageBreak(), NextPageTemplate("running")]
        flow += [Spacer(1, 14 * mm), Paragraph(markup(chapter.heading), CHAPTER)]
        after_prose = False
        for text, is_quote in chapter.paragraphs:
            flow.append(Paragraph(markup(text), QUOTE if is_quote else BODY if after_prose else FIRST))
            after_prose = not is_quote
    return flow


def make_pdf(markdown: Path = MARKDOWN, out: Path = PDF) -> None:
    """Set the Markdown file as a PDF with bookmarks, running heads and page numbers.

    The printed page number is the physical one: the title page is page 1.
    """
    book = parse(markdown.read_text(encoding="utf-8"))
    width, height = A5
    headings = iter(chapter.heading for chapter in book.chapters)
    current = ""

    def opening(canvas: Any, _: Any) -> None:
        nonlocal current
        current = next(headings)
        canvas.bookmarkPage(current)
        canvas.addOutlineEntry(current, current)

    def head(canvas: Any, _: Any) -> None:
        canvas.setFont(*HEAD_FONT)
        canvas.drawString(MARGIN, height - 12 * mm, book.title)
        canvas.drawRightString(width - MARGIN, height - 12 * mm, current)

    def foot(canvas: Any, _: Any) -> None:
        canvas.setFont(*FOLIO_FONT)
        canvas.drawCentredString(width / 2, 11 * mm, str(canvas.getPageNumber()))

    def page(name: str, **hooks: Any) -> Any:
        frame = Frame(MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN, 0, 0, 0, 0)
        return PageTemplate(name, [frame], pagesize=A5, **hooks)

    document = BaseDocTemplate(
        str(out), pagesize=A5, title=book.title, author=AUTHOR, lang="en-GB", invariant=1, pageCompression=1
    )
    document.addPageTemplates([
        page("title"),
        page("opening", onPage=opening, onPageEnd=foot),
        page("running", onPage=head, onPageEnd=foot),
    ])  # fmt: skip
    document.build(story(book))


def main() -> None:
    """Read the command line and write the PDF."""
    parser = argparse.ArgumentParser(description="Make the sample PDF from its Markdown.")
    parser.add_argument("--out", type=Path, default=PDF, help="where to write (default: beside the Markdown)")
    make_pdf(out=parser.parse_args().out)


if __name__ == "__main__":
    main()
