"""A light clean-up of text taken from pages: safe rules only, and everything removed is counted.

Running heads, bare page numbers and the marks of footnotes go; lines of a paragraph and words hyphenated at a line's
end are joined; ligatures and white space are made plain. No other letter or digit is removed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .chapters import is_chapter_heading
from .footnotes import take_marks

_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_TO_LETTERS = str.maketrans(_LIGATURES)
_INVISIBLE = re.compile("[\u200b\u2060\ufeff]")
_NUMBER = re.compile(r"[0-9]+")
_BARE_NUMBER = re.compile(r"(?:[Pp]age|PAGE|p\.)?[\W_]*([0-9]{1,4})(?:\s*(?:/|of|von|sur|de)\s*[0-9]{1,4})?[\W_]*")
_HYPHENATED = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)+")
_LINE_END = re.compile(r"([^\W\d_]+)-$")
_LINE_START = re.compile(r"[^\W\d_]+")
_LIST_ITEM = re.compile(r"(?:[•◦▪‣–—*-]|[0-9]{1,3}[.)]|\(?[a-z0-9]{1,2}\))\s+\S")
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”’»)\]]*$")
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
_FEWEST_PAGES = 3
_EDGE_LINES = 2
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


def clean_pages(
    pages: Sequence[tuple[int, str]],
    chapters: Mapping[int, str] | None = None,
    labels: Mapping[int, str] | None = None,
) -> tuple[list[list[str]], CleanReport]:
    """Turn extracted page texts into paragraphs.

    Args:
        pages: Physical page number, from 1, and text of each page.
        chapters: For page numbers, the title of the chapter that goes on there from an earlier page: the
            same words at the page's edge are a running head, however short the chapter.
        labels: For page numbers, the page's number as it is printed, where that is known.

    Returns:
        The paragraphs of each page, in the order given, and what was done.
    """
    removed_characters = 0
    lines_of: list[list[str]] = []
    for _, text in pages:
        plain, count = normalise(text)
        removed_characters += count
        lines_of.append(plain.split("\n"))
    ligatures = sum(text.count(ligature) for _, text in pages for ligature in _LIGATURES)

    numbers = [number for number, _ in pages]
    page_numbers = _drop(lines_of, _bare_numbers(numbers, lines_of) | _labels(numbers, lines_of, labels or {}))
    heads = _drop(lines_of, _running_lines(numbers, lines_of))
    heads += _drop(lines_of, _chapter_lines(numbers, lines_of, chapters or {}))

    marks: list[str] = []
    for page, lines in enumerate(lines_of):
        lines_of[page], taken = take_marks(lines)
        marks += taken

    hyphenated = {word.lower() for lines in lines_of for line in lines for word in _HYPHENATED.findall(line)}
    paragraphs: list[list[str]] = []
    joined = 0
    for lines in lines_of:
        unwrapped, count = _unwrap(lines, hyphenated)
        paragraphs.append(unwrapped)
        joined += count
    return paragraphs, CleanReport(
        tuple(heads), tuple(page_numbers), joined, removed_characters, ligatures, tuple(marks)
    )


def told(counts: Mapping[str, int]) -> str:
    """Counts of a clean-up in one line, such as `clean-up: 1 running head, 40 footnote marks`."""
    done = [
        f"{count:,} {(one if count == 1 else many)}"
        for key, (one, many) in _COUNTED.items()
        if (count := counts.get(key, 0))
    ]
    return f"clean-up: {', '.join(done) or 'nothing to do'}"


def normalise(text: str) -> tuple[str, int]:
    """Make ligatures, white space and line ends plain.

    Returns:
        The text, and how many control, zero-width and soft-hyphen characters were removed from it.
    """
    text = text.replace("\r\n", "\n")
    text = re.sub("[\r\v\f\x85\u2028\u2029]", "\n", text).translate(_TO_LETTERS)
    # A soft hyphen at a line's end is a real break of a word; anywhere else it is not to be seen.
    text = re.sub("\u00ad[ \t]*(?=\n)", "-", text)
    visible, invisible = _INVISIBLE.subn("", text)
    kept = "".join(c for c in visible if c in "\n\t" or (unicodedata.category(c) != "Cc" and c != "\u00ad"))
    removed = invisible + len(visible) - len(kept)
    # A lone surrogate, from a broken font table, cannot be written as UTF-8.
    kept = re.sub("[\ud800-\udfff]", "\ufffd", kept)
    return "\n".join(" ".join(line.split()) for line in kept.split("\n")), removed


def _drop(lines_of: list[list[str]], doomed: Iterable[tuple[int, int]]) -> list[str]:
    """Remove lines given as (page index, line index), and return them."""
    removed = []
    for page, line in sorted(doomed, reverse=True):
        removed.append(lines_of[page].pop(line))
    return removed[::-1]


def _running_lines(numbers: Sequence[int], lines_of: Sequence[list[str]]) -> set[tuple[int, int]]:
    """Lines that repeat in the same place, digits aside, on at least half of the pages with text."""
    with_text = sum(1 for lines in lines_of if any(lines))
    needed = max(_FEWEST_PAGES, (with_text + 1) // 2)
    doomed: set[tuple[int, int]] = set()
    # From the edge inwards, so that a second running line is judged only where there is a first one.
    for outermost in (0, -1):
        edge: Iterable[int] = range(len(lines_of))
        for _ in range(_EDGE_LINES):
            places: dict[str, list[tuple[int, int]]] = defaultdict(list)
            for page in edge:
                left = [i for i, line in enumerate(lines_of[page]) if line and (page, i) not in doomed]
                # A page's only line may be all that it says: it goes only if others show it to be a head.
                if len(left) > 1:
                    index = left[outermost]
                    places[_NUMBER.sub("#", lines_of[page][index])].append((page, index))
            found = {
                place
                for same in places.values()
                if len(same) >= needed
                for place in _numbers_agree(same, numbers, lines_of, needed)
            }
            doomed |= found
            edge = {page for page, _ in found}
    heads = {_NUMBER.sub("#", lines_of[page][index]) for page, index in doomed}
    for page, lines in enumerate(lines_of):
        left = [i for i, line in enumerate(lines) if line and (page, i) not in doomed]
        if len(left) == 1 and _NUMBER.sub("#", lines[left[0]]) in heads:
            doomed.add((page, left[0]))
    return doomed - {(page, index) for page, index in doomed if _is_title(page, index, numbers, lines_of)}


def _is_title(page: int, index: int, numbers: Sequence[int], lines_of: Sequence[list[str]]) -> bool:
    """Whether a line is the document's title at the top of its first page, which running heads repeat."""
    lines = lines_of[page]
    above = sum(1 for line in lines[:index] if line)
    return numbers[page] == 1 and above < _EDGE_LINES and not any(c.isdigit() for c in lines[index])


def _chapter_lines(
    numbers: Sequence[int], lines_of: Sequence[list[str]], chapters: Mapping[int, str]
) -> set[tuple[int, int]]:
    """First or last lines that say, page number aside, what chapter goes on."""
    doomed: set[tuple[int, int]] = set()
    for page, lines in enumerate(lines_of):
        title = chapters.get(numbers[page])
        filled = [i for i, line in enumerate(lines) if line]
        for index in {filled[0], filled[-1]} if title and filled else ():
            if _without_page(lines[index], numbers[page]) == _without_page(title or "", numbers[page]):
                doomed.add((page, index))
    return doomed


def _without_page(line: str, number: int) -> str:
    return re.sub(rf"^{number}\b|\b{number}$", "", line).strip().casefold()


def _numbers_agree(
    same: list[tuple[int, int]], numbers: Sequence[int], lines_of: Sequence[list[str]], needed: int
) -> list[tuple[int, int]]:
    """Of lines equal but for digits, those whose numbers stay the same or count the pages.

    So `Part 1`, `Part 2` or the days of a diary at the top of pages are kept as the body text they are.
    """
    values = {place: [int(n) for n in _NUMBER.findall(lines_of[place[0]][place[1]])] for place in same}
    agreeing = list(same)
    for column in range(len(values[same[0]])):
        constant = Counter(values[place][column] for place in same)
        offset = Counter(values[place][column] - numbers[place[0]] for place in same)
        agreeing = [
            place
            for place in agreeing
            if constant[values[place][column]] >= needed
            or (
                offset[values[place][column] - numbers[place[0]]] >= needed
                and not is_chapter_heading(lines_of[place[0]][place[1]])
            )
        ]
    return agreeing if len(agreeing) >= needed else []


def _bare_numbers(numbers: Sequence[int], lines_of: Sequence[list[str]]) -> set[tuple[int, int]]:
    """First or last lines that are nothing but the page's number.

    The number must be the physical page's, or off by what it is off by on another page too: a lone year or
    a cell of a table stays.
    """
    found: list[tuple[int, int, int]] = []
    for page, lines in enumerate(lines_of):
        filled = [i for i, line in enumerate(lines) if line]
        for index in {filled[0], filled[-1]} if filled else ():
            match = _BARE_NUMBER.fullmatch(lines[index])
            if match is not None:
                found.append((page, index, int(match[1]) - numbers[page]))
    pages_with = Counter(offset for _, offset in {(page, offset) for page, _, offset in found})
    alone = {page for page, lines in enumerate(lines_of) if sum(map(bool, lines)) == 1}
    return {
        (page, index) for page, index, offset in found if pages_with[offset] >= 2 or (offset == 0 and page not in alone)
    }


def _labels(numbers: Sequence[int], lines_of: Sequence[list[str]], labels: Mapping[int, str]) -> set[tuple[int, int]]:
    """First or last lines that are the page's number as the file itself gives it, such as `xii` or `A-3`."""
    doomed: set[tuple[int, int]] = set()
    for page, lines in enumerate(lines_of):
        label = labels.get(numbers[page])
        filled = [i for i, line in enumerate(lines) if line]
        if label is not None and len(filled) > 1:
            doomed |= {(page, i) for i in (filled[0], filled[-1]) if lines[i].casefold() == label.casefold()}
    return doomed


def _unwrap(lines: Sequence[str], hyphenated: set[str]) -> tuple[list[str], int]:
    """Join the lines of each paragraph; return the paragraphs and how many hyphenated words were joined."""
    lengths = sorted(len(line) for line in lines if line)
    if not lengths:
        return [], 0
    width = lengths[min(len(lengths) - 1, int(0.9 * len(lengths)))]
    separator = " " if width >= _COLUMN_WIDTH else "\n"
    paragraphs: list[list[str]] = []
    joined = 0
    previous = ""
    for line in lines:
        if line and previous and not _starts_paragraph(previous, line, width):
            pieces = paragraphs[-1]
            word = _broken_word(previous, line)
            if word is not None:
                # `self-` + `aware` keeps its hyphen where the document writes self-aware within a line.
                if word not in hyphenated:
                    pieces[-1] = pieces[-1][:-1]
                    joined += 1
            elif not (_is_ideograph(previous[-1]) and _is_ideograph(line[0])):
                pieces.append(separator)
            pieces.append(line)
        elif line:
            paragraphs.append([line])
        previous = line
    return ["".join(pieces) for pieces in paragraphs], joined


def _starts_paragraph(previous: str, line: str, width: int) -> bool:
    if is_chapter_heading(line) or is_chapter_heading(previous) or _LIST_ITEM.match(line):
        return True
    if len(previous) < 0.8 * width and _SENTENCE_END.search(previous):
        return True
    # A short line without a full stop above a capital is a heading or an entry of a list.
    is_short = width >= _COLUMN_WIDTH and len(previous) < 0.6 * width
    return is_short and line[0].isupper() and previous[-1] not in ",-"


def _broken_word(previous: str, line: str) -> str | None:
    """The word, with its hyphen, that runs over the end of a line; None if none does."""
    end, start = _LINE_END.search(previous), _LINE_START.match(line)
    if end is None or start is None or not (end[1][-1].islower() and start[0][0].islower()):
        return None
    return f"{end[1]}-{start[0]}".lower()


def _is_ideograph(character: str) -> bool:
    return "\u3000" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef"
