"""A light clean-up of text taken from pages: safe rules only, and everything removed is counted.

Running heads, bare page numbers and the marks of footnotes go; lines of a paragraph and words hyphenated at a line's
end are joined; ligatures and white space are made plain. No other letter or digit is removed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .chapter_lines import is_chapter_heading
from .extracted import Bookmark
from .footnotes import take_marks
from .headings import Title, find_titles
from .letters import LIGATURES, normalise
from .page_lines import PageLine, plain_lines
from .running import bare_numbers, chapter_lines, printed_numbers, running_lines

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_HYPHENS = ("-", "\u2010")
_LINE_END = re.compile(r"([^\W\d_]+)[-\u2010]$")
_LINE_START = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LIST_ITEM = re.compile(r"(?:[•◦▪‣–—*-]|[0-9]{1,3}[.)]|\(?[a-z0-9]{1,2}\))\s+\S")
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”’»)\]]{0,5}$")
_LONGEST_END = 6
# Words behind a hyphen that is no break: `pre- and post-war`.
_CONJUNCTIONS = frozenset(("and", "or", "to", "und", "oder", "bis", "et", "ou", "y", "o", "e", "en", "of", "och"))
# How counts are told, in this order.
_COUNTED = {
    "running_heads": ("running head", "running heads"),
    "page_numbers": ("page number", "page numbers"),
    "hyphens_joined": ("hyphen joined", "hyphens joined"),
    "ligatures": ("ligature", "ligatures"),
    "footnote_marks": ("footnote mark", "footnote marks"),
    "characters_removed": ("invisible character", "invisible characters"),
    "reordered_pages": ("page with columns put in order", "pages with columns put in order"),
}
_COLUMN_WIDTH = 30


@dataclass(frozen=True)
class CleanReport:
    """What a clean-up did.

    Attributes:
        running_lines: Running heads and feet, as they stood, one entry for each removal.
        page_numbers: Lines with nothing but a page number, likewise.
        hyphens_joined: Words put together again from two lines.
        characters_removed: Control and zero-width characters, and soft hyphens.
        ligatures: Ligatures written as their letters.
        footnote_marks: Marks of footnotes taken out of the text, as they stood.
    """

    running_lines: tuple[str, ...] = ()
    page_numbers: tuple[str, ...] = ()
    hyphens_joined: int = 0
    characters_removed: int = 0
    ligatures: int = 0
    footnote_marks: tuple[str, ...] = ()

    @property
    def lines_removed(self) -> int:
        """How many lines are not in the cleaned text."""
        return len(self.running_lines) + len(self.page_numbers)

    def counts(self) -> dict[str, int]:
        """How often each step found something to do."""
        return {
            "running_heads": len(self.running_lines),
            "page_numbers": len(self.page_numbers),
            "hyphens_joined": self.hyphens_joined,
            "ligatures": self.ligatures,
            "footnote_marks": len(self.footnote_marks),
            "characters_removed": self.characters_removed,
        }


@dataclass(frozen=True)
class Cleaned:
    """Pages as paragraphs.

    Attributes:
        paragraphs: Of each page, in the order given.
        report: What was done.
        titles: For places of paragraphs, as index of the page and of the paragraph on it, the title that begins there.
    """

    paragraphs: list[list[str]]
    report: CleanReport
    titles: Mapping[tuple[int, int], str] = field(default_factory=dict)


def clean_pages(
    pages: Sequence[tuple[int, str | Sequence[PageLine]]],
    *,
    bookmarks: Sequence[Bookmark] = (),
    chapters: Mapping[int, str] | None = None,
    labels: Mapping[int, str] | None = None,
    scans: Collection[int] = (),
) -> Cleaned:
    """Turn extracted pages into paragraphs.

    Args:
        pages: Physical page number, from 1, and lines of each page, or its text.
        bookmarks: The document's outline: its titles begin paragraphs.
        chapters: For page numbers, the title of the chapter that goes on there from an earlier page: the
            same words at the page's edge are a running head, however short the chapter.
        labels: For page numbers, the page's number as it is printed, where that is known.
        scans: Numbers of pages that are pictures with next to no letters.
    """
    numbers = [number for number, _ in pages]
    lines_of, removed_characters, ligatures = _normalised([given for _, given in pages])
    page_numbers = _drop(lines_of, bare_numbers(numbers, lines_of) | printed_numbers(numbers, lines_of, labels or {}))
    heads = _drop(lines_of, running_lines(numbers, lines_of, scans))
    heads += _drop(lines_of, chapter_lines(numbers, lines_of, chapters or {}))

    marks: list[str] = []
    for page, lines in enumerate(lines_of):
        lines_of[page], taken = _without_marks(lines)
        marks += taken

    found = find_titles(numbers, lines_of, bookmarks)
    words = Counter(word.lower() for lines in lines_of for line in lines for word in _WORD.findall(line.text))
    paragraphs: list[list[str]] = []
    titles: dict[tuple[int, int], str] = {}
    joined = 0
    for page, lines in enumerate(lines_of):
        unwrapped, starts, count = _unwrap(lines, words, found.get(page, {}))
        paragraphs.append(unwrapped)
        titles |= {(page, paragraph): title for paragraph, title in starts.items()}
        joined += count
    report = CleanReport(tuple(heads), tuple(page_numbers), joined, removed_characters, ligatures, tuple(marks))
    return Cleaned(paragraphs, report, titles)


def told(counts: Mapping[str, int]) -> str:
    """Counts of a clean-up in one line, such as `clean-up: 1 running head, 40 footnote marks`."""
    done = [
        f"{count:,} {(one if count == 1 else many)}"
        for key, (one, many) in _COUNTED.items()
        if (count := counts.get(key, 0))
    ]
    return f"clean-up: {', '.join(done) or 'nothing to do'}"


def _normalised(given: Sequence[str | Sequence[PageLine]]) -> tuple[list[list[PageLine]], int, int]:
    """The lines with plain letters, how many characters were removed, and how many ligatures there were."""
    lines_of: list[list[PageLine]] = []
    removed = ligatures = 0
    for page in given:
        lines = plain_lines(page) if isinstance(page, str) else page
        text = "\n".join(line.text for line in lines)
        ligatures += 0 if text.isascii() else sum(map(text.count, LIGATURES))
        plain, count = normalise(text)
        removed += count
        texts = plain.split("\n")
        if len(texts) == len(lines):
            lines_of.append([_saying(line, part) for line, part in zip(lines, texts, strict=True)])
        else:
            lines_of.append([PageLine(part) for part in texts])
    return lines_of, removed, ligatures


def _saying(line: PageLine, text: str) -> PageLine:
    """A line with another text. Most lines of a document say what they said before: these are not made again."""
    return line if line.text == text else replace(line, text=text)


def _drop(lines_of: list[list[PageLine]], doomed: Iterable[tuple[int, int]]) -> list[str]:
    """Remove lines given as (page index, line index), and return what they say."""
    removed = []
    for page, line in sorted(doomed, reverse=True):
        removed.append(lines_of[page].pop(line).text)
    return removed[::-1]


def _without_marks(lines: list[PageLine]) -> tuple[list[PageLine], list[str]]:
    texts, taken = take_marks([line.text for line in lines])
    kept: list[PageLine] = []
    left, added = len(lines), len(texts) - len(lines)
    for text in reversed(texts):
        # At the page's foot there may be empty lines that were not there, one above each note.
        if added and not text and lines[left - 1].text:
            kept.append(PageLine(""))
            added -= 1
        else:
            left -= 1
            kept.append(_saying(lines[left], text))
    return kept[::-1], taken


def _unwrap(
    lines: Sequence[PageLine], words: Mapping[str, int], titles: Mapping[int, Title]
) -> tuple[list[str], dict[int, str], int]:
    """Join the lines of each paragraph.

    Returns:
        The paragraphs, the titles of those that begin with one, and how many hyphenated words were joined.
    """
    lengths = sorted(len(line.text) for line in lines if line.text and not line.row)
    width = lengths[min(len(lengths) - 1, int(0.9 * len(lengths)))] if lengths else 0
    separator = " " if width >= _COLUMN_WIDTH else "\n"
    inside = {number + more for number, title in titles.items() for more in range(1, title.lines)}
    behind = {number + title.lines for number, title in titles.items()}
    paragraphs: list[list[str]] = []
    starts: dict[int, str] = {}
    joined = 0
    previous = PageLine("")
    for number, line in enumerate(lines):
        if line.text:
            goes_on = previous.text and number not in titles and number not in behind
            if number in inside or (goes_on and not _starts_paragraph(previous, line, width)):
                joined += _append(paragraphs[-1], previous, line, separator, words)
            else:
                paragraphs.append([line.text])
        if number in titles and (text := titles[number].text) is not None:
            starts[max(0, len(paragraphs) - 1 if line.text else len(paragraphs))] = text
        previous = line
    return ["".join(pieces) for pieces in paragraphs], starts, joined


def _append(pieces: list[str], previous: PageLine, line: PageLine, separator: str, words: Mapping[str, int]) -> int:
    """Add a line to a paragraph; return how many words were joined."""
    hyphen = previous.text.endswith(_HYPHENS)
    end, start = (_LINE_END.search(previous.text), _LINE_START.match(line.text)) if hyphen else (None, None)
    if previous.row and line.row:
        pieces += ["\n", line.text]
        return 0
    if end is not None and start is not None and start[0].lower() not in _CONJUNCTIONS:
        apart, together = f"{end[1]}-{start[0]}".lower(), f"{end[1]}{start[0]}".lower()
        if start[0][0].islower() and end[1][-1].islower() and words.get(apart, 0) <= words.get(together, 0):
            pieces[-1] = pieces[-1][:-1]
            pieces.append(line.text)
            return 1
        # `self-` + `aware` keeps its hyphen where the document writes self-aware; `Anglo-` + `Saxon` always does.
        pieces.append(line.text)
        return 0
    if not (_is_ideograph(previous.text[-1]) and _is_ideograph(line.text[0])):
        pieces.append(separator)
    pieces.append(line.text)
    return 0


def _starts_paragraph(above: PageLine, below: PageLine, width: int) -> bool:
    previous, line = above.text, below.text
    if above.row != below.row or _LIST_ITEM.match(line):
        return True
    if above.row:
        return False
    ended = _SENTENCE_END.search(previous[-_LONGEST_END:]) is not None
    if is_chapter_heading(previous) or (is_chapter_heading(line) and (ended or len(previous) < 0.8 * width)):
        return True
    if len(previous) < 0.8 * width and ended:
        return True
    # A short line without a full stop above a capital is a heading or an entry of a list.
    is_short = width >= _COLUMN_WIDTH and len(previous) < 0.6 * width
    return is_short and line[0].isupper() and previous[-1] not in ",-"


def _is_ideograph(character: str) -> bool:
    return "\u3000" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef"
