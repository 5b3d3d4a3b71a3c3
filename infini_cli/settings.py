"""Settings: a flag wins over an `INFINI_*` variable, that over the user's TOML file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from infini_attention.errors import UsageFailure

FORMATS = ("text", "json", "jsonl")
PDF_BACKENDS = ("pypdf", "pdfium")
CONFIG_VARIABLE = "INFINI_CONFIG"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
_SWITCHES = ("quiet", "verbose")


@dataclass(frozen=True)
class Settings:
    """What a run goes by.

    Attributes:
        model: Name of a model, a directory or a hub id; None for the default recipe.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        dtype: `auto` or the name of a torch dtype.
        quiet: No notes and no progress.
        verbose: Details as well as notes.
        format: `text`, `json` or `jsonl`.
        pdf_backend: What takes the text out of a PDF: `pypdf` or `pdfium`.
    """

    model: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    quiet: bool = False
    verbose: bool = False
    format: str = "text"
    pdf_backend: str = "pypdf"


KEYS = tuple(field.name for field in fields(Settings))


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where the user's settings file is looked for; it need not exist."""
    given = (os.environ if environ is None else environ).get(CONFIG_VARIABLE)
    if given:
        return Path(given).expanduser()
    import platformdirs

    return platformdirs.user_config_path("infini") / "config.toml"


def load(
    *,
    model: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    quiet: bool | None = None,
    verbose: bool | None = None,
    format: str | None = None,
    pdf_backend: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Put the settings of a run together.

    Args:
        model, device, dtype, quiet, verbose, format, pdf_backend: The flags; None means not given.
        environ: The environment; the process's own if None.

    Raises:
        UsageFailure: If a value or a key of the file cannot be meant, or the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    given = {
        "model": model,
        "device": device,
        "dtype": dtype,
        "quiet": quiet,
        "verbose": verbose,
        "format": format,
        "pdf_backend": pdf_backend,
    }
    flags = {key: value for key, value in given.items() if value is not None}
    _check(flags, "the command line")
    values: dict[str, Any] = {}
    for source in (_from_file(config_path(environ), environ), _from_environment(environ), flags):
        # A source that asks for quiet overrides a weaker one that asked for details, and the other way round.
        for switch, opposite in zip(_SWITCHES, reversed(_SWITCHES), strict=True):
            if source.get(switch):
                values[opposite] = False
        values.update(source)
    return Settings(**values)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in KEYS:
        name = f"INFINI_{key.upper()}"
        text = environ.get(name)
        if text is None or (text == "" and key not in _SWITCHES):
            continue
        if key not in _SWITCHES:
            values[key] = text
        elif text.lower() in _TRUE | _FALSE:
            values[key] = text.lower() in _TRUE
        else:
            raise UsageFailure(f"{name} is '{text}', which is neither yes nor no", "Set it to 1 or 0.")
    _check(values, "the environment")
    return values


def _from_file(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except FileNotFoundError:
        if environ.get(CONFIG_VARIABLE):
            raise UsageFailure(
                f"the settings file {path} does not exist", f"Create it, or unset {CONFIG_VARIABLE}."
            ) from None
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageFailure(f"the settings file {path} is not valid TOML: {error}", "Correct that line.") from None
    except OSError as error:
        raise UsageFailure(
            f"the settings file {path} cannot be read: {error.strerror}",
            f"Correct its permissions, or name another one with {CONFIG_VARIABLE}.",
        ) from None
    for key in values:
        if key not in KEYS:
            raise UsageFailure(f"unknown key '{key}' in {path}", f"The keys are {', '.join(KEYS)}.")
    _check(values, str(path))
    return values


def _check(values: Mapping[str, Any], where: str) -> None:
    for key, value in values.items():
        if key in _SWITCHES:
            if not isinstance(value, bool):
                raise UsageFailure(f"{key} in {where} is neither true nor false", f"Write {key} = true or false.")
        elif not isinstance(value, str) or not value:
            raise UsageFailure(f"{key} in {where} is not a text", f'Write {key} = "..." with a value inside.')
    if values.get("format", "text") not in FORMATS:
        raise UsageFailure(
            f"format in {where} is '{values['format']}', which is not known",
            f"The formats are {', '.join(FORMATS)}.",
        )
    if values.get("pdf_backend", "pypdf") not in PDF_BACKENDS:
        raise UsageFailure(
            f"pdf_backend in {where} is '{values['pdf_backend']}', which is not known",
            f"The backends are {', '.join(PDF_BACKENDS)}.",
        )
    if values.get("quiet") and values.get("verbose"):
        raise UsageFailure(f"{where} asks for quiet and verbose at once", "Keep one of them.")
