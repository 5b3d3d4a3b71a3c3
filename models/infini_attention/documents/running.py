"""Lines at the edges of pages that are not the text: running heads and feet, and page numbers."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from .chapter_lines import is_chapter_heading
from .page_lines import PageLine

_NUMBER = re.compile(r"[0-9]+")
_BARE_NUMBER = re.compile(
    r"(?:[Pp]age|PAGE|p\.)?[\s\-–—.|·•*\[\](){}]{0,20}([0-9]{1,4})(?:\s{0,3}(?:/|of|von|sur|de)\s{0,3}[0-9]{1,4})?"
    r"[\s\-–—.|·•*\[\](){}]{0,20}"
)
_FEWEST_PAGES = 3
_EDGE_LINES = 2
# So many pages one after the other, or every second one, whose edge says the same have a head of their chapter.
_RUN = 4
_RUN_WITHOUT_HEIGHT = 6
_SAME_HEIGHT = 3.0

Lines = Sequence[Sequence[PageLine]]
Place = tuple[int, int]


def running_lines(numbers: Sequence[int], lines_of: Lines, scans: Collection[int]) -> set[Place]:
    """Lines that repeat in the same place, digits aside, as heads and feet do: on half of the pages, on half of the left
    or the right ones, or on every page of a chapter.

    Args:
        numbers: Physical page numbers.
        lines_of: The lines of each page.
        scans: Numbers of pages that are pictures: their only line may be a stamp.

    Returns:
        Their places, as index of the page and of the line.
    """
    with_text = [page for page, lines in enumerate(lines_of) if any(line.text for line in lines)]
    doomed: set[Place] = set()
    # From the edge inwards, so that a second running line is judged only where there is a first one.
    for outermost in (0, -1):
        edge: Iterable[int] = with_text
        for _ in range(_EDGE_LINES):
            places: dict[str, list[Place]] = defaultdict(list)
            for page in edge:
                left = [i for i, line in enumerate(lines_of[page]) if line.text and (page, i) not in doomed]
                # A page's only line may be all that it says: it goes only if others show it to be a head.
                if len(left) > 1 or (left and numbers[page] in scans):
                    index = left[outermost]
                    places[_NUMBER.sub("#", lines_of[page][index].text)].append((page, index))
            found = {place for same in places.values() for place in _heads(same, numbers, lines_of, with_text)}
            doomed |= found
            edge = sorted({page for page, _ in found})
    heads = {_NUMBER.sub("#", lines_of[page][index].text) for page, index in doomed}
    for page, lines in enumerate(lines_of):
        left = [i for i, line in enumerate(lines) if line.text and (page, i) not in doomed]
        if len(left) == 1 and _NUMBER.sub("#", lines[left[0]].text) in heads:
            doomed.add((page, left[0]))
    return {place for place in doomed if not _is_title(*place, numbers, lines_of) or numbers[place[0]] in scans}


def chapter_lines(numbers: Sequence[int], lines_of: Lines, chapters: Mapping[int, str]) -> set[Place]:
    """First or last lines that say, page number aside, what chapter goes on."""
    doomed: set[Place] = set()
    for page, lines in enumerate(lines_of):
        title = chapters.get(numbers[page])
        filled = [i for i, line in enumerate(lines) if line.text]
        for index in {filled[0], filled[-1]} if title and filled else ():
            if _without_page(lines[index].text, numbers[page]) == _without_page(title or "", numbers[page]):
                doomed.add((page, index))
    return doomed


def bare_numbers(numbers: Sequence[int], lines_of: Lines) -> set[Place]:
    """First or last lines that are nothing but the page's number.

    The number must be the physical page's, or off by what it is off by on another page too: a lone year or a cell of a
    table stays, and so does a page of nothing but numbers.
    """
    found: list[tuple[int, int, int]] = []
    for page, lines in enumerate(lines_of):
        filled = [i for i, line in enumerate(lines) if line.text]
        if len(filled) > 1 and all(_BARE_NUMBER.fullmatch(lines[i].text) for i in filled):
            continue
        for index in {filled[0], filled[-1]} if filled else ():
            match = _BARE_NUMBER.fullmatch(lines[index].text)
            if match is not None:
                found.append((page, index, int(match[1]) - numbers[page]))
    pages_with = Counter(offset for _, offset in {(page, offset) for page, _, offset in found})
    alone = {page for page, lines in enumerate(lines_of) if sum(1 for line in lines if line.text) == 1}
    if alone and alone == {page for page, lines in enumerate(lines_of) if any(line.text for line in lines)}:
        return set()
    return {
        (page, index) for page, index, offset in found if pages_with[offset] >= 2 or (offset == 0 and page not in alone)
    }


def printed_numbers(numbers: Sequence[int], lines_of: Lines, labels: Mapping[int, str]) -> set[Place]:
    """First or last lines that are the page's number as the file itself gives it, such as `xii` or `A-3`."""
    doomed: set[Place] = set()
    for page, lines in enumerate(lines_of):
        label = labels.get(numbers[page])
        filled = [i for i, line in enumerate(lines) if line.text]
        if label is not None and len(filled) > 1 and not all(_BARE_NUMBER.fullmatch(lines[i].text) for i in filled):
            doomed |= {(page, i) for i in (filled[0], filled[-1]) if lines[i].text.casefold() == label.casefold()}
    return doomed


def _heads(same: list[Place], numbers: Sequence[int], lines_of: Lines, with_text: Sequence[int]) -> list[Place]:
    """Of lines equal but for digits, those that are heads."""
    if len(same) < _FEWEST_PAGES:
        return []
    half = max(_FEWEST_PAGES, (len(with_text) + 1) // 2)
    if len(same) >= half and (agreeing := _numbers_agree(same, numbers, lines_of, half)):
        return agreeing
    found: list[Place] = []
    for parity in (0, 1):
        on_side = [place for place in same if numbers[place[0]] % 2 == parity]
        pages = sum(1 for page in with_text if numbers[page] % 2 == parity)
        needed = max(_FEWEST_PAGES, (pages + 1) // 2)
        if len(on_side) >= needed:
            found += _numbers_agree(on_side, numbers, lines_of, needed)
    return found or _runs(same, numbers, lines_of)


def _runs(same: list[Place], numbers: Sequence[int], lines_of: Lines) -> list[Place]:
    """The lines that stand on page after page, or on every second one, at the same height."""
    found: set[Place] = set()
    for step in (1, 2):
        for parity in range(step):
            run: list[Place] = []
            for place in [*(place for place in same if numbers[place[0]] % step == parity), None]:
                goes_on = (
                    place is not None
                    and run
                    and numbers[place[0]] - numbers[run[-1][0]] == step
                    and _same_height(lines_of[place[0]][place[1]], lines_of[run[-1][0]][run[-1][1]])
                )
                if not goes_on and run:
                    known = lines_of[run[0][0]][run[0][1]].top is not None
                    if len(run) >= (_RUN if known else _RUN_WITHOUT_HEIGHT):
                        found |= set(_numbers_agree(run, numbers, lines_of, len(run)))
                    run = []
                if place is not None:
                    run.append(place)
    return sorted(found)


def _same_height(one: PageLine, other: PageLine) -> bool:
    return one.top is None or other.top is None or abs(one.top - other.top) <= _SAME_HEIGHT


def _is_title(page: int, index: int, numbers: Sequence[int], lines_of: Lines) -> bool:
    """Whether a line is the document's title at the top of its first page, which running heads repeat."""
    lines = lines_of[page]
    above = sum(1 for line in lines[:index] if line.text)
    return numbers[page] == 1 and above < _EDGE_LINES and not any(c.isdigit() for c in lines[index].text)


def _without_page(line: str, number: int) -> str:
    return re.sub(rf"^{number}\b|\b{number}$", "", line).strip().casefold()


def _numbers_agree(same: list[Place], numbers: Sequence[int], lines_of: Lines, needed: int) -> list[Place]:
    """Of lines equal but for digits, those whose numbers stay the same or count the pages.

    So `Part 1`, `Part 2` or the days of a diary at the top of pages are kept as the body text they are.
    """
    values = {place: [int(n) for n in _NUMBER.findall(lines_of[place[0]][place[1]].text)] for place in same}
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
                and not is_chapter_heading(lines_of[place[0]][place[1]].text)
            )
        ]
    return agreeing if len(agreeing) >= needed else []
