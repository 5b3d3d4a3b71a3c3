"""What a backend takes out of a PDF before the clean-up, and what all backends do alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..errors import InputError
from .model import OutlineItem

REPAIR_HINT = "Try to repair the file, for example with: qpdf --replace-input FILE, or download it again."
_PASSWORD_TRIES = 3


@dataclass
class Extracted:
    """What came out of the chosen pages of a PDF. Pages are physical ones, counted from 1.

    Attributes:
        extractor: What took it out, with its version.
        total: Pages in the file.
        chosen: Pages that were asked for, in order.
        texts: Number and text of each page that could be read.
        failed: Pages that could not.
        partial: Pages of which a part could not be read.
        reordered: Pages whose columns were mixed line by line, and now follow each other.
        outline: The bookmarks, in order.
        labels: Page numbers as they are printed, where the file tells.
        repaired: Whether the file was cut short, or its index is damaged.
    """

    extractor: str
    total: int
    chosen: tuple[int, ...]
    texts: list[tuple[int, str]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    partial: list[int] = field(default_factory=list)
    reordered: list[int] = field(default_factory=list)
    outline: list[OutlineItem] = field(default_factory=list)
    labels: Mapping[int, str] = field(default_factory=dict)
    repaired: bool = False

    def add(self, number: int, text: str | None, *, whole: bool, reordered: bool = False) -> None:
        """Take in a page.

        Args:
            number: Of the page.
            text: Its text; None if it cannot be read.
            whole: Whether all of its content could be decoded.
            reordered: Whether its columns had to be told apart.
        """
        if text is None or not (text.strip() or whole):
            self.failed.append(number)
            return
        self.texts.append((number, text))
        if not whole:
            self.partial.append(number)
        if reordered:
            self.reordered.append(number)


def unlock(
    name: str, opens: Callable[[str], bool], password: str | None, ask_password: Callable[[str], str] | None
) -> None:
    """Open an encrypted file with the password given, or asked for.

    Args:
        name: The file's name as shown to people.
        opens: Tries a password.
        password: The one given, if any.
        ask_password: Called with `name` for the password if none was given.

    Raises:
        InputError: If there is no right one.
    """
    if password is None and ask_password is None:
        raise InputError(f"{name} is encrypted", "Set INFINI_PDF_PASSWORD to its password.")
    if password is not None:
        if opens(password):
            return
        raise InputError(f"the password for {name} is wrong", "Check the password in INFINI_PDF_PASSWORD.")
    assert ask_password is not None
    for _ in range(_PASSWORD_TRIES):
        if opens(ask_password(name)):
            return
    raise InputError(f"the password for {name} is wrong", "Ask whoever sent the file for its password.")
