"""What a shell offers for a word that is not finished; nothing here may import anything heavy."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

# Set by the shell when it asks; typer's name for it.
COMPLETE = "_INFINI_COMPLETE"
STATES = (".pt", ".safetensors")
DEVICES = ("auto", "cpu", "mps", "cuda")
_RECIPES = ("recipe.toml", "config.json")
_PLAIN = re.compile(r"[\w.,+@%-]+")


def words_to_complete(environ: Mapping[str, str]) -> list[str]:
    """The words after the program's name on the line that a shell wants completed; bash has a variable of its own."""
    return (environ.get("COMP_WORDS") or environ.get("_TYPER_COMPLETE_ARGS", "")).split()[1:]


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Completes a word to one of a few."""

    def complete(incomplete: str) -> list[str]:
        return list(values)

    return complete


def models(incomplete: str) -> list[str]:
    """Recipes that come with infini, and folders that hold a model."""
    folders = _beside(incomplete, lambda path: any((path / name).is_file() for name in _RECIPES))
    return [*recipes(), *folders]


def states(incomplete: str) -> list[str]:
    """Files that may be states."""
    return _beside(incomplete, lambda path: path.suffix in STATES and path.is_file())


def recipes() -> list[str]:
    """Names of the recipes that come with infini, without importing the library that reads them."""
    spec = importlib.util.find_spec("infini_attention")
    places = [] if spec is None else spec.submodule_search_locations or []
    return sorted(file.parent.name for place in places for file in Path(place).glob("recipes/*/recipe.toml"))


def schemas(incomplete: str) -> list[str]:
    """Schemas of JSON output."""
    from infini_cli.schemas import names

    return names()


def prompts(incomplete: str) -> list[str]:
    """Prompts."""
    from infini_attention.model.prompts import names

    return names()


def _beside(incomplete: str, wanted: Callable[[Path], bool]) -> list[str]:
    """Paths that continue a word, as far as the same folder has such; none where one would have to be quoted.

    Where nothing is offered, the shell completes file names by itself, and knows how to quote them.
    """
    name = os.path.basename(incomplete)
    prefix = incomplete.removesuffix(name)
    try:
        found = sorted(Path(prefix or ".").expanduser().iterdir())
        names = [path.name for path in found if path.name.startswith(name) and wanted(path)]
    except (OSError, RuntimeError):
        # A folder that is not there or not ours to look into, or a home that nobody has.
        return []
    shown = [one for one in names if name or not one.startswith(".")]
    return [prefix + one for one in shown] if all(_PLAIN.fullmatch(one) for one in shown) else []
