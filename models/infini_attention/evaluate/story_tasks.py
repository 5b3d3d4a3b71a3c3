"""Tasks on texts with questions: answers to them, and refusals of those that a text does not tell."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from ..data.stories import load_stories
from ..errors import InfiniError, UsageFailure
from ..model import prompts
from ..model.adapters import load_changes
from ..qa.counts import numbers_for
from .probes import Series
from .refusals import refusals
from .retrieval import by_words, look_back, refusing
from .story_probes import questions, right_part
from .task import Bench, Task

View = Literal["none", "look-back", "words", "right"]
VIEWS: tuple[View, ...] = get_args(View)


@dataclasses.dataclass(frozen=True)
class QuestionTask(Task):
    """Questions, each asked after its whole text was read: token F1, exact match and ROUGE-L.

    Attributes:
        data: texts with questions (see ``stories.load_stories``).
        limit: questions, spread over all; ``None``: all.
        view: what is read again before a question: nothing; the passages that ``ask`` finds; those that share most with the
            question; or the part of the text with the answer.
    """

    name: ClassVar[str] = "qa"
    unit: ClassVar[str] = "token F1, exact match and ROUGE-L"

    data: Path
    limit: int | None = None
    view: View = "none"

    @property
    def texts(self) -> Path | None:
        return self.data

    @property
    def judged(self) -> bool:  # type: ignore[override]
        return self.view == "look-back"

    @property
    def read(self) -> bool:  # type: ignore[override]
        return self.view != "none"

    def check(self, system: str) -> None:
        super().check(system)
        if self.view != "none" and system not in ("memory", "local"):
            raise UsageFailure(f"the system {system} cannot read anything again", "Leave out --view.")

    def settings(self, bench: Bench) -> dict[str, Any]:
        return {"limit": self.limit, "view": self.view, "prompt": prompts.fill("ask", question="{question}")}

    def draw(self, bench: Bench) -> list[Series]:
        loaded = bench.loaded
        views = dict(zip(VIEWS[1:], (look_back, by_words, right_part), strict=True))
        again = self.view in views
        series = questions(
            loaded,
            load_stories(self.data),
            lambda asked: prompts.fill("ask", question=asked),
            self.limit,
            view=views[self.view](loaded) if again else None,
            reader=load_changes(loaded.model, loaded.recipe.reader_file) if again else None,
            options=numbers_for,
        )
        return [series]


@dataclasses.dataclass(frozen=True)
class RefusalTask(Task):
    """How often ``ask`` refuses an answer: to questions of the text that was read, and to questions of another one.

    Attributes:
        data: texts with questions, two at least (see ``stories.load_stories``).
        limit: questions of each kind, spread over all; ``None``: all.
    """

    name: ClassVar[str] = "refusal"
    unit: ClassVar[str] = "share refused"
    systems: ClassVar[tuple[str, ...]] = ("memory",)
    judged = True

    data: Path
    limit: int | None = None

    @property
    def texts(self) -> Path | None:
        return self.data

    def settings(self, bench: Bench) -> dict[str, Any]:
        recipe = bench.loaded.recipe
        if recipe.refuse_below is None:
            raise InfiniError(
                f"{recipe.name} never refuses: its recipe has no refuse_below",
                "Set that threshold to what python -m benchmarks.refusal prints.",
            )
        prompt = prompts.fill("ask", question="{question}")
        return {"limit": self.limit, "prompt": prompt, "refuse_below": recipe.refuse_below}

    def draw(self, bench: Bench) -> list[Series]:
        loaded = bench.loaded
        stories = load_stories(self.data)
        return refusals(
            loaded, stories, lambda asked: prompts.fill("ask", question=asked), self.limit, refusing(loaded)
        )
