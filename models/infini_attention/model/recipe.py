"""Recipes: a base, its memory path's configuration, a trained adapter, and how all of it came about."""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ModelUnavailable
from ..memory.config import InfiniConfig
from .spec import BaseSpec

HERE = Path(__file__).parents[1] / "recipes"
DEFAULT = "smollm2-135m"
# In the place of a model's name: the model that reads answers from passages too.
OWN = "own"
RECIPE = "recipe.toml"
# Beside it, where a model has one: a plan for texts of one's own, which any machine can follow.
OWN_TEXTS = "adapt.toml"
ADAPTER = "adapter.safetensors"
# Beside the adapter, where a model has them: its reranker of passages and its reader.
RERANKER_WEIGHTS, READER_WEIGHTS = "reranker.safetensors", "reader.safetensors"
SCORES = "scores"


@dataclasses.dataclass(frozen=True, slots=True)
class FormerNames:
    """What a recipe's adapter and configuration were known by before their parts were renamed; states may name it still.

    Attributes:
        now: fingerprint of the adapter, the very same weights.
        adapter: its fingerprint before.
        config: digest of the configuration before.
    """

    now: str
    adapter: str
    config: str


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerSettings:
    """How a model answers from passages.

    Attributes:
        passage_words: words of a passage, about.
        candidates: passages that the search gives, to be put in order.
        in_view: the most that stay in view for the answer, the best ones.
        reader_passages: of these, the most that a reader sees.
        by_words: go by the search alone; otherwise the model puts the passages in order.
        view_tokens: tokens that a model without a memory has in view; one with a memory has a segment.
        read_by: name of another model that answers from the passages in the place of this one, if any (see ``find``).
        choose_numbers: answer a question for a number with one that stands in view (see ``counts.numbers_for``).
    """

    passage_words: int = 80
    candidates: int = 12
    in_view: int = 4
    reader_passages: int = 1
    by_words: bool = False
    view_tokens: int = 4096
    read_by: str | None = None
    choose_numbers: bool = True

    def __post_init__(self) -> None:
        if min(self.passage_words, self.candidates, self.in_view, self.reader_passages, self.view_tokens) < 1:
            raise ValueError("the numbers of [answers] must be at least 1")

    def to_dict(self, usual: AnswerSettings) -> dict[str, Any]:
        """What is not as usual, as a recipe's ``[answers]`` has it."""
        own, others = dataclasses.asdict(self), dataclasses.asdict(usual)
        return {name: value for name, value in own.items() if value is not None and value != others[name]}


# Of a model without a memory, whose recipe says nothing of it. Not bound to a segment: over 30 questions on three novels, ten
# passages of 120 words gave an untrained 0.5B base a token F1 of 0.22, one of 80 words gave the 135M default 0.09.
WIDE = AnswerSettings(passage_words=120, candidates=10, in_view=10, reader_passages=10, by_words=True)


def usual_answers(*, memory: bool) -> AnswerSettings:
    """Of a model whose recipe says nothing of it."""
    return AnswerSettings() if memory else WIDE


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """A model that can be loaded.

    Attributes:
        name: short name.
        folder: where ``recipe.toml`` and the adapter stand; ``None`` for a plain base.
        base: the base weights.
        config: the memory path; of a model without one, how its texts are cut into segments.
        training: how the adapter was trained (a training plan's values).
        scores: what was measured with it and written down by hand.
        refuse_below: how much likelier a question has to become by the best passage, in nats a word, to be answered;
            ``None`` answers every question.
        memory: whether there is a memory path. A model without one answers and summarises from text in view; nothing is
            read into it.
        formerly: what states that were written before name its adapter and configuration.
        answers: how it answers from passages.
    """

    name: str
    folder: Path | None
    base: BaseSpec
    config: InfiniConfig
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    scores: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    refuse_below: float | None = None
    memory: bool = True
    formerly: tuple[FormerNames, ...] = ()
    answers: AnswerSettings = AnswerSettings()

    @property
    def adapter_file(self) -> Path | None:
        """The adapter, if one is there."""
        return file_in(self.folder, ADAPTER)

    @property
    def reranker_file(self) -> Path | None:
        """The reranker, if there is one."""
        return file_in(self.folder, RERANKER_WEIGHTS)

    @property
    def reader_file(self) -> Path | None:
        """The reader, if there is one."""
        return file_in(self.folder, READER_WEIGHTS)

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

    def may_have_written(self, config: str) -> bool:
        """Whether a state with this digest of a configuration can be of this recipe."""
        return config in (self.config.digest(), *(names.config for names in self.formerly))

    def former_names(self, adapter: str, config: InfiniConfig) -> tuple[tuple[str, str], ...]:
        """Adapter and config that states of these weights may name too: none unless they are the recipe's own.

        Args:
            adapter: fingerprint of the weights that are loaded.
            config: the configuration that they are loaded with.
        """
        if config != self.config:
            return ()
        return tuple((names.adapter, names.config) for names in self.formerly if names.now == adapter)

    def read_by(self, name: str) -> Recipe:
        """The same, but another model answers from passages.

        Args:
            name: of that model (see ``find``); ``OWN``: none, this one answers itself.

        Raises:
            ModelUnavailable: there is nothing of that name.
        """
        other = None if name == OWN else find(name).address
        return dataclasses.replace(self, answers=dataclasses.replace(self.answers, read_by=other))

    def require_memory(self) -> None:
        """Refuses a model without a memory.

        Raises:
            ModelUnavailable: there is none.
        """
        if not self.memory:
            raise ModelUnavailable(
                f"{self.name} has no memory: it answers and summarises from text alone",
                f"give it the text (infini ask -f FILE, infini summarize FILE), or use --model {DEFAULT}",
            )

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
            weights, or a hub id (``owner/name``). The last two have no memory.

    Raises:
        ModelUnavailable: there is nothing of that name, or its recipe cannot be read.
    """
    if name in names():
        return read(HERE / name)
    # Unlike those of pathlib, these functions take any text: what no file can be called is not there.
    path = Path(os.path.expanduser(name))
    if os.path.isfile(path / RECIPE):
        return read(path)
    if path.suffix == ".toml" and os.path.isfile(path):
        return read(path.parent, path.name)
    if os.path.isfile(path / "config.json"):
        return Recipe(
            name, None, BaseSpec("directory", str(path.resolve())), InfiniConfig(), memory=False, answers=WIDE
        )
    if name.count("/") == 1 and not name.startswith(("/", ".", "~")) and not os.path.exists(path):
        return Recipe(name, None, _on_hub(name), InfiniConfig(), memory=False, answers=WIDE)
    raise ModelUnavailable(
        f"unknown model {name!r}", f"use one of {', '.join(names())}, a folder with a recipe, or a hub id owner/name"
    )


def _on_hub(name: str) -> BaseSpec:
    try:
        return BaseSpec("hub", name)
    except ValueError as error:
        raise ModelUnavailable(str(error), "write it as the hub does, such as Qwen/Qwen2.5-0.5B-Instruct") from error


def read(folder: Path, file: str = RECIPE) -> Recipe:
    """Reads a recipe; one without a ``[config]`` is of a model without a memory.

    Args:
        folder: where it stands.
        file: its name there; a plan that stands beside ``recipe.toml`` need not say which base it is for.

    Raises:
        ModelUnavailable: it cannot be read.
    """
    try:
        values = tomllib.loads((folder / file).read_text(encoding="utf-8"))
        if "base" not in values and file != RECIPE:
            own = tomllib.loads((folder / RECIPE).read_text(encoding="utf-8"))
            values = {"name": own["name"], "base": own["base"], **values}
        usual = usual_answers(memory="config" in values)
        return Recipe(
            values["name"],
            folder,
            BaseSpec.from_dict(values["base"]),
            InfiniConfig.from_dict(values.get("config", {})),
            values.get("training", {}),
            values.get("scores", {}),
            None if "refuse_below" not in values else float(values["refuse_below"]),
            "config" in values,
            tuple(FormerNames(**each) for each in values.get("formerly", [])),
            AnswerSettings(**{**dataclasses.asdict(usual), **values.get("answers", {})}),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"the recipe in {folder} cannot be read: {error}", f"check its {file}") from error
