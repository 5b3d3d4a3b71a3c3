"""A PDF read page by page, in a process of its own that may be stopped: no page costs more than itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError
from .extracted import Extracted, PageText
from .isolation import Isolation, Stopped, run
from .pdf_extract import add_message, messages

# So many pages may be too much before the rest of the file is given up.
_MOST_STOPS = 4


def extract(
    data: bytes,
    request: Mapping[str, Any],
    isolation: Isolation | None,
    heard: Callable[[int, int], None] | None = None,
) -> Extracted:
    """Take the text out of a PDF.

    Args:
        data: The file, from its header on.
        request: As for `pdf_extract.messages`, without `skip` and `avoid`.
        isolation: Bounds of the process; this process, without bounds, if None.
        heard: Called after each page with how many of how many have been read.

    Raises:
        Locked, InputError, UsageFailure: As for `pdf_extract.messages`; `InputError`, too, if the file cannot be opened
            within the bounds.
    """
    extracted: Extracted | None = None
    avoid: str | None = None
    while True:
        skip = [] if extracted is None else list(extracted.pages)
        whole = {**request, "skip": skip, "avoid": avoid}
        try:
            for message in messages(data, whole) if isolation is None else run("pdf", whole, data, isolation):
                if extracted is None or "number" in message:
                    extracted = add_message(extracted, message)
                    if heard is not None and extracted.pages:
                        heard(len(extracted.pages), len(extracted.chosen))
            assert extracted is not None
            return extracted
        except Stopped as stop:
            if extracted is None:
                if avoid is not None:
                    raise InputError(
                        f"{request['name']} cannot be opened: it {stop}",
                        "It may be damaged or made to do harm: print it to a new PDF in a viewer.",
                    ) from None
                # The other backend may open it.
                avoid = request["backend"]
                continue
            left = [number for number in extracted.chosen if number not in extracted.pages]
            if not left:
                return extracted
            given_up = left if len(extracted.numbers("stopped")) >= _MOST_STOPS else left[:1]
            extracted.pages |= {number: PageText(None, stopped=True) for number in given_up}
            if given_up == left:
                return extracted
