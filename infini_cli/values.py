"""Values that cannot be meant, refused in one place and before a command starts to work."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from infini_attention.errors import DeviceUnavailable, UsageFailure
from infini_attention.files import require_writable

# More than anybody counts here, and less than what overflows anywhere.
MOST = 10**9
LARGEST_SEED = 2**63 - 1
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")


def whole_number(*names: str, help: str, least: int = 1, most: int = MOST, **more: Any) -> Any:
    """An option that is a whole number within bounds."""
    return typer.Option(*names, metavar="N", min=least, max=most, help=help, **more)


def refuse_blank(arguments: Sequence[str]) -> None:
    """Refuse a command line with an argument that is empty, as when a variable in a script is not set.

    Raises:
        UsageFailure: If there is one, or one that no file and no text can be called.
    """
    for argument in arguments:
        name, equals, value = argument.partition("=")
        option = name if equals and name.startswith("--") else None
        _refuse(argument if option is None else value, "an argument" if option is None else option)


def refuse_blank_settings(ctx: typer.Context, given: Mapping[str, Any]) -> None:
    """The same for what comes from variables and the user's file.

    Raises:
        UsageFailure: See `refuse_blank`.
    """
    for name, value in given.items():
        source = ctx.get_parameter_source(name)
        if isinstance(value, str) and source is not None and source.name in ("ENVIRONMENT", "DEFAULT_MAP"):
            _refuse(value, f"the setting {name}")


def writable(ctx: typer.Context, value: Any) -> Any:
    """Callback of an option that names a file to be written: it must be possible, before anything is done for it.

    Raises:
        InfiniError: If it is not.
    """
    if value is not None and str(value) != "-" and not ctx.resilient_parsing:
        require_writable(value)
    return value


def device(ctx: typer.Context, value: str) -> str:
    """Callback of the option that names a device: it must be one that could be there.

    Raises:
        DeviceUnavailable: If it is not.
    """
    if not _DEVICE.fullmatch(value) and not ctx.resilient_parsing:
        raise DeviceUnavailable(f"unknown device {value!r}", "Use auto, cpu, mps, cuda or cuda:N.")
    return value


def _refuse(value: str, what: str) -> None:
    if not value.strip():
        raise UsageFailure(
            f"{what} is empty", "Give it a value, or leave it out; a variable of the shell may be unset."
        )
    if "\0" in value:
        raise UsageFailure(f"{what} has a NUL character in it", "Write it without.")
