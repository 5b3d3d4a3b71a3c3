"""The user's TOML file of settings: where it is, and what is in it."""

from __future__ import annotations

import os
import tomllib
from collections import UserDict
from functools import cached_property
from pathlib import Path
from typing import Any

from infini_attention.errors import UsageFailure

CONFIG_VARIABLE = "INFINI_CONFIG"
KEYS = {
    "model": str,
    "device": str,
    "dtype": str,
    "weights": str,
    "reader": str,
    "quiet": bool,
    "verbose": bool,
    "format": str,
    "pdf_backend": str,
    "ocr": str,
}


def config_path() -> Path:
    """Where the file is looked for; it need not exist."""
    given = os.environ.get(CONFIG_VARIABLE)
    if given:
        return Path(given).expanduser()
    import platformdirs

    return platformdirs.user_config_path("infini") / "config.toml"


class UserFile(UserDict[str, Any]):
    """Settings by name, as defaults of the options of that name; read when the first is looked up.

    `--help` looks defaults up too, and has to answer whatever is in the file: see `require`.
    """

    def __init__(self) -> None:
        """The file itself is read later."""

    @cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        try:
            return self.require()
        except UsageFailure:
            return {}

    def require(self) -> dict[str, Any]:
        """What is in the file.

        Raises:
            UsageFailure: If it cannot be read, or there is more in it than settings.
        """
        return read(config_path())


def take_defaults(command: Any) -> None:
    """What is neither a flag nor a variable comes from the user's file, in a command or in all of a group."""
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        command.context_settings["default_map"] = UserFile()
    else:
        for subcommand in subcommands.values():
            take_defaults(subcommand)


def read(path: Path) -> dict[str, Any]:
    """What is in the file; nothing where there is none, unless a variable names it.

    Raises:
        UsageFailure: If it cannot be read, or there is more in it than settings.
    """
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except FileNotFoundError:
        if not os.environ.get(CONFIG_VARIABLE):
            return {}
        raise UsageFailure(
            f"the settings file {path} does not exist", f"Create it, or unset {CONFIG_VARIABLE}."
        ) from None
    except ValueError as error:
        raise UsageFailure(f"the settings file {path} is not valid TOML: {error}", "Correct that line.") from None
    except OSError as error:
        raise UsageFailure(
            f"the settings file {path} cannot be read: {error.strerror}",
            f"Correct its permissions, or name another one with {CONFIG_VARIABLE}.",
        ) from None
    for key, value in values.items():
        if key not in KEYS:
            raise UsageFailure(f"unknown key '{key}' in {path}", f"The keys are {', '.join(KEYS)}.")
        if type(value) is not KEYS[key] or (isinstance(value, str) and (not value.strip() or "\0" in value)):
            form = "true or false" if KEYS[key] is bool else '"..." with a value inside'
            raise UsageFailure(f"{key} in {path} is '{value}', which cannot be meant", f"Write {key} = {form}.")
    return values
