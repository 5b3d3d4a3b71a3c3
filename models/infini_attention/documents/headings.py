"""Lines of a PDF that begin a chapter or a section: told by its bookmarks, or else by size, weight and numbering."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .extracted import Bookmark
from .page_lines import PageLine

_LONGEST_HEADING = 120
_MOST_LINES = 3
_NUMBER = re.compile(
    r"(?P<number>(?:[0-9]{1,2}(?:\.[0-9]{1,2}){0,3}|[IVX]{1,5}(?=\.)|[A-Z](?=[. ]\s?[A-Z]))\.?)\s{1,3}(?P<title>\S.*)"
)
_LEADING = re.compile(
    r"(?:chapter|section|part|appendix)?\s*(?:[0-9]+(?:\.[0-9]+)*|[ivxlc]+(?=[.:]))[.:]?\s*", re.IGNORECASE
)
_NAMED = re.compile(
    r"abstract|introduction|related work|background|methods?|results|discussion|conclusions?|references|bibliography"
    r"|acknowledge?ments?|appendix|contents|preface|summary",
    re.IGNORECASE,
)
# How much larger a heading is than the text around it: where it has a number or a bold face, and where it has not.
_LARGER = 1.06
_MUCH_LARGER = 1.18
# A heading's line may stand so much above the height that its bookmark points to, in sizes of its type.
_ABOVE = 0.6
_MOST_SHARE = 0.34
# A number that stands before a title on the page and not in its bookmark, in letters.
_MOST_NUMBER = 30
# What stands so often in large type, such as "Note", is no heading of its own.
_OFTEN = 4


@dataclass(frozen=True)
class Title:
    """A heading on a page.

    Attributes:
        text: The title; None where a line stands alone without being one.
        lines: How many lines it takes.
    """

    text: str | None
    lines: int = 1


def find_titles(
    numbers: Sequence[int], lines_of: Sequence[Sequence[PageLine]], bookmarks: Sequence[Bookmark]
) -> dict[int, dict[int, Title]]:
    """The headings of a document.

    Args:
        numbers: Physical page numbers.
        lines_of: The lines of each page.
        bookmarks: The outline; without any, headings are told by how they are set.

    Returns:
        For the index of a page, the headings by the index of the line that they begin on.
    """
    if bookmarks:
        return _marked(numbers, lines_of, bookmarks)
    return _set_apart(lines_of)


def _marked(
    numbers: Sequence[int], lines_of: Sequence[Sequence[PageLine]], bookmarks: Sequence[Bookmark]
) -> dict[int, dict[int, Title]]:
    on_page: dict[int, list[Bookmark]] = defaultdict(list)
    for bookmark in bookmarks:
        if bookmark.page is not None:
            on_page[bookmark.page].append(bookmark)
    found: dict[int, dict[int, Title]] = {}
    for page, number in enumerate(numbers):
        titles: dict[int, Title] = {}
        start = 0
        for bookmark in on_page.get(number, ()):
            place = _place(lines_of[page], bookmark, start)
            if place is None:
                continue
            index, title = place
            # Of two bookmarks at one line, the inner one tells more; the line of a title is that title's.
            titles[index] = title
            start = index + title.lines
        if titles:
            found[page] = titles
    return found


def _place(lines: Sequence[PageLine], bookmark: Bookmark, start: int) -> tuple[int, Title] | None:
    """The line that a bookmark's title begins on: the one that says it, else the one at its height."""
    wanted = _plain(bookmark.title)
    bare = _plain(_LEADING.sub("", bookmark.title, count=1))
    candidates = []
    longest = len(bookmark.title) + _MOST_NUMBER
    for index in range(start, len(lines)):
        if 0 < len(lines[index].text) <= longest and (count := _says(lines, index, wanted, bare)):
            candidates.append((index, count))
    if candidates:
        index, count = min(candidates, key=lambda place: _distance(lines[place[0]], bookmark, lines, place[0]))
        return index, Title(bookmark.title, count)
    filled = [index for index in range(start, len(lines)) if lines[index].text]
    if not filled:
        return None
    if bookmark.top is not None:
        for index in filled:
            top = lines[index].top
            if top is not None and top <= bookmark.top + _ABOVE * lines[index].size:
                return index, Title(bookmark.title, 0)
        return None
    return filled[0], Title(bookmark.title, 0)


def _says(lines: Sequence[PageLine], start: int, wanted: str, bare: str) -> int:
    """How many lines from `start` on say a title; 0 where they do not."""
    said = ""
    for count, line in enumerate(lines[start : start + _MOST_LINES], 1):
        if not line.text:
            break
        said += _plain(line.text)
        without = _plain(_LEADING.sub("", " ".join(part.text for part in lines[start : start + count]), count=1))
        if wanted and (said in (wanted, bare) or without in (wanted, bare)) and said:
            return count
        if not (wanted.startswith(said) or bare.startswith((said, without))):
            break
    return 0


def _distance(line: PageLine, bookmark: Bookmark, lines: Sequence[PageLine], index: int) -> tuple[float, float, int]:
    away = abs(line.top - bookmark.top) if line.top is not None and bookmark.top is not None else 0.0
    return away, -line.size, index


def _set_apart(lines_of: Sequence[Sequence[PageLine]]) -> dict[int, dict[int, Title]]:
    """Headings by their type: larger than the text, or bold or in capitals with a number or a usual name."""
    letters: Counter[float] = Counter()
    bold = 0
    for lines in lines_of:
        for line in lines:
            letters[round(line.size * 2) / 2] += len(line.text)
            bold += len(line.text) if line.bold else 0
    total = letters.total()
    if not total or letters[0.0] == total:
        return {}
    del letters[0.0]
    body = letters.most_common(1)[0][0]
    tells = 2 * bold < total
    found: dict[int, dict[int, Title]] = {}
    for page, lines in enumerate(lines_of):
        titles = _on_page(lines, body, tells)
        filled = sum(1 for line in lines if line.text)
        if titles and sum(title.lines for title in titles.values()) <= max(2.0, _MOST_SHARE * filled):
            found[page] = titles
    texts = Counter(title.text for titles in found.values() for title in titles.values())
    return {
        page: {index: title for index, title in titles.items() if texts[title.text] < _OFTEN}
        for page, titles in found.items()
    }


def _on_page(lines: Sequence[PageLine], body: float, bold_tells: bool) -> dict[int, Title]:
    titles: dict[int, Title] = {}
    index = 0
    while index < len(lines):
        if not _is_heading(lines[index], body, bold_tells):
            index += 1
            continue
        count = 1
        first = lines[index]
        while (
            count < _MOST_LINES
            and index + count < len(lines)
            and lines[index + count].text
            and abs(lines[index + count].size - first.size) < 0.3
            and lines[index + count].bold == first.bold
            and first.size > _LARGER * body
            and not _NUMBER.fullmatch(lines[index + count].text)
        ):
            count += 1
        text = " ".join(line.text for line in lines[index : index + count])
        if len(text) <= _LONGEST_HEADING:
            titles[index] = Title(text, count)
        index += count
    return titles


def _is_heading(line: PageLine, body: float, bold_tells: bool) -> bool:
    text = line.text
    if line.row or not 0 < len(text) <= _LONGEST_HEADING or text[-1] in ",;-":
        return False
    letters = sum(map(str.isalpha, text))
    if letters < 3 or 2 * letters < len(text):
        return False
    numbered = _NUMBER.fullmatch(text)
    title = numbered["title"] if numbered else text
    if not (title[0].isupper() or not title[0].isascii()):
        return False
    if line.size >= _MUCH_LARGER * body:
        return True
    stands_out = line.size >= _LARGER * body or (line.bold and bold_tells) or title.isupper()
    usual = numbered is not None or _NAMED.fullmatch(title.rstrip(".:")) is not None
    return stands_out and usual and not title.endswith(".")


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


__all__ = ["Title", "find_titles"]
