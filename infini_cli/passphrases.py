"""Passphrases of encrypted states: from a variable, a file, or the person."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infini_attention.errors import UsageFailure

from infini_cli.exits import one_line

if TYPE_CHECKING:
    from infini_attention.memory.cipher import StateCipher

VARIABLE, FILE_VARIABLE = "INFINI_PASSPHRASE", "INFINI_PASSPHRASE_FILE"


def cipher_of(path: Path) -> StateCipher | None:
    """What opens a state; None if it is not encrypted.

    Raises:
        UsageFailure: If the file for the passphrase cannot be read, or holds none.
    """
    from infini_attention.memory.cipher import file_is_encrypted

    return cipher_for(path) if file_is_encrypted(path) else None


def cipher_for(path: Path, *, new: bool = False) -> StateCipher | None:
    """What encrypts and opens a state with the person's passphrase; None if there is nobody to ask for it.

    Args:
        path: The state.
        new: Whether it is made now: a passphrase that is typed is typed twice then.
    """
    from infini_attention.memory.cipher import StateCipher

    given = _given()
    if given is None and sys.stderr.isatty():
        given = _asked(path, new)
    return None if given is None else StateCipher(given)


def new_cipher(path: Path) -> StateCipher:
    """What encrypts a state that is going to be made.

    Raises:
        UsageFailure: If there is no passphrase.
    """
    cipher = cipher_for(path, new=True)
    if cipher is None:
        raise UsageFailure(
            "--encrypt needs a passphrase, and none is given", f"Set {VARIABLE} or {FILE_VARIABLE}, or use a terminal."
        )
    return cipher


def _given() -> str | None:
    if VARIABLE in os.environ:
        return os.environ[VARIABLE]
    if FILE_VARIABLE not in os.environ:
        return None
    file = Path(os.environ[FILE_VARIABLE]).expanduser()
    try:
        return (file.read_text(encoding="utf-8").splitlines() or [""])[0]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageFailure(
            f"the passphrase in {file} cannot be read: {reason}", f"Name another file in {FILE_VARIABLE}."
        ) from error


def _asked(path: Path, new: bool) -> str:
    import getpass

    typed = getpass.getpass(f"Passphrase of {one_line(str(path))}: ", stream=sys.stderr)
    if new and getpass.getpass("The same again: ", stream=sys.stderr) != typed:
        raise UsageFailure("the two passphrases differ", "Give the command again.")
    return typed
