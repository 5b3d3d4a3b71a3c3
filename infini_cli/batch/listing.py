"""Documents named in a file of JSON lines, for `infini read --batch`."""

from __future__ import annotations

import json
import sys
from pathlib import Path, PurePath

from infini_attention.documents import PageSelection
from infini_attention.documents.pages import format_pages
from infini_attention.errors import InputError, UsageFailure

from infini_cli.batch.manifest import Key
from infini_cli.batch.plan import Wanted

STATE_SUFFIXES = (".pt", ".safetensors")
_KEYS = ("source", "state", "pages")
_HINT = 'Write a line each like {"source": "a.pdf", "state": "a.pt", "pages": "1-40"}; state and pages may be left out.'


class _Unusable(Exception):
    """Why a line cannot be meant."""


def read_listing(name: str) -> list[Wanted]:
    """The documents that a listing names.

    Args:
        name: Its path, or `-` for standard input.

    Raises:
        InputError: If it cannot be read or names nothing, or lines of it cannot be meant; all of these are numbered.
    """
    shown = "the listing on stdin" if name == "-" else name
    wanted: list[Wanted] = []
    wrong: dict[int, str] = {}
    documents: dict[Key, int] = {}
    states: dict[str, int] = {}
    # Not splitlines: what else it takes for the end of a line may stand inside of a name.
    for number, line in enumerate(_content(name, shown).split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = _entry(line)
            if (first := documents.setdefault(entry.key, number)) != number:
                raise _Unusable(f"it names the same document as line {first}")
            if entry.state is not None and (first := states.setdefault(entry.state.casefold(), number)) != number:
                raise _Unusable(f"its state {entry.state} is that of line {first}")
        except (_Unusable, UsageFailure) as error:
            wrong[number] = str(error)
        else:
            wanted.append(entry)
    if wrong:
        number, reason = next(iter(wrong.items()))
        lines = f"line {number} of" if len(wrong) == 1 else f"lines {format_pages(wrong)} of"
        where = "" if len(wrong) == 1 else f"line {number}: "
        raise InputError(f"{lines} {shown} cannot be used: {where}{reason}", _HINT)
    if not wanted:
        raise InputError(f"{shown} names no documents", _HINT)
    return wanted


def _content(name: str, shown: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror}", "Check the path.") from None
    except UnicodeDecodeError:
        raise InputError(f"{shown} is not UTF-8", _HINT) from None


def _entry(line: str) -> Wanted:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Unusable(f"it is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise _Unusable("it is not an object with a source")
    for key, content in value.items():
        if key not in _KEYS:
            raise _Unusable(f"'{key}' is not a key that it can have")
        if not isinstance(content, str) or not content:
            raise _Unusable(f"its {key} is not a text")
    if "source" not in value:
        raise _Unusable("it has no source")
    if value["source"] == "-":
        raise _Unusable("stdin cannot be one of many documents")
    state, pages = value.get("state"), value.get("pages")
    if state is not None and (PurePath(state).name != state or not state.endswith(STATE_SUFFIXES)):
        raise _Unusable(f"its state '{state}' is not a plain name that ends with {' or '.join(STATE_SUFFIXES)}")
    return Wanted(value["source"], None if pages is None else str(PageSelection.parse(pages)), state)
