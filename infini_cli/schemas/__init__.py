"""JSON Schemas (draft 2020-12) of all JSON output, a file each: `infini.ask-1.json` describes `infini.ask/1`."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from infini_attention.errors import UsageFailure

_SUFFIX = ".json"


def names() -> list[str]:
    """Names of all schemas, such as `infini.ask/1`."""
    found = (file.name for file in files(__name__).iterdir() if file.name.endswith(_SUFFIX))
    return sorted("/".join(name.removesuffix(_SUFFIX).rsplit("-", 1)) for name in found)


def read(name: str) -> dict[str, Any]:
    """A schema.

    Args:
        name: Such as `infini.ask/1`; `ask/1` and, for the latest version, `ask` will do.

    Raises:
        UsageFailure: If there is none of that name.
    """
    whole = name if name.startswith("infini.") else f"infini.{name}"
    found = [one for one in names() if whole in (one, one.rpartition("/")[0])]
    if not found:
        raise UsageFailure(f"'{name}' is not a schema", "See the list: infini schema")
    latest = max(found, key=lambda one: int(one.rpartition("/")[2]))
    value: dict[str, Any] = json.loads((files(__name__) / f"{latest.replace('/', '-')}{_SUFFIX}").read_text("utf-8"))
    return value
