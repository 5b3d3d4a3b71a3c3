"""Instructions to the model: editable text files, each of which a file of the user's may replace."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from ...errors import InfiniError, UsageFailure
from ...files import atomic_writer

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def names() -> list[str]:
    """Names of all prompts."""
    return sorted(file.name.removesuffix(".txt") for file in files(__name__).iterdir() if file.name.endswith(".txt"))


def default(name: str) -> str:
    """A prompt as it comes with infini.

    Raises:
        UsageFailure: If there is none of that name.
    """
    if name not in names():
        raise UsageFailure(f"'{name}' is not a prompt", f"The prompts are {', '.join(names())}.")
    return (files(__name__) / f"{name}.txt").read_text(encoding="utf-8")


def placeholders(name: str) -> list[str]:
    """What is filled into a prompt; each has to occur in the user's version too."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(default(name))))


def current(name: str) -> tuple[str, bool]:
    """A prompt as it is used now, and whether it is the user's own.

    Raises:
        InfiniError: If there is none of that name, or the user's file cannot be read.
    """
    shipped, own = default(name), override_path(name)
    try:
        return own.read_text(encoding="utf-8"), True
    except FileNotFoundError:
        return shipped, False
    except (OSError, UnicodeDecodeError) as error:
        raise InfiniError(f"the prompt {own} cannot be read: {error}", "Correct it, or remove the file.") from error


def copy(name: str) -> Path:
    """Put a copy of a prompt where the user's own version is looked for, to be edited; its path.

    Raises:
        InfiniError: If there is none of that name, the user has one already, or it cannot be written.
    """
    text, own = default(name), override_path(name)
    if own.exists():
        raise InfiniError(
            f"{own} is there already", "Edit it, or remove it to have the one that comes with infini again."
        )
    try:
        own.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfiniError(
            f"the directory {own.parent} cannot be made: {error.strerror}", "Check its permissions."
        ) from error
    with atomic_writer(own) as file:
        file.write(text)
    return own


def override_path(name: str) -> Path:
    """Where the user's own version of a prompt is looked for; it need not exist."""
    import platformdirs

    return platformdirs.user_config_path("infini") / "prompts" / f"{name}.txt"


def fill(name: str, **values: object) -> str:
    """A prompt with its `{placeholders}` filled.

    Args:
        name: `ask` or `summarize`.
        values: What goes in; each has to occur in the prompt.

    Raises:
        InfiniError: If the user's file cannot be read or lacks a placeholder.
    """
    text, _ = current(name)
    own, text = override_path(name), text.strip()
    missing = [key for key in values if f"{{{key}}}" not in text]
    if missing:
        raise UsageFailure(f"the prompt {own} has no {{{missing[0]}}}", "Put it where it belongs, or remove the file.")
    # One pass over the prompt: braces inside a question are the person's own.
    for key, value in values.items():
        before, _, after = text.partition(f"{{{key}}}")
        text = f"{before}{value}{after}"
    return text
