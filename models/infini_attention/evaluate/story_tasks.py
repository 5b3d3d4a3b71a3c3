"""Tasks on texts with questions or summaries: a session does what people have it do, and its answers are scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..data.stories import load_stories
from ..errors import InfiniError, UsageFailure
from ..model import prompts
from .probes import Measured, Series
from .question_answering import questions, system_questions
from .refusals import refusals
from .summarization import summaries
from .task import Bench, Task


@dataclasses.dataclass(frozen=True)
class StoryTask(Task):
    """A task on texts and what was written about them.

    Attributes:
        data: the texts (see ``stories.load_stories``).
        limit: questions or texts, spread over all; ``None``: all.
    """

    data: Path
    limit: int | None = None


@dataclasses.dataclass(frozen=True)
class QuestionTask(StoryTask):
    """Questions, answered as ``ask`` answers them; another system than the memory reads the whole text before each.

    Attributes:
        view: what they are answered from (see ``question_answering.VIEWS``).
    """

    name: ClassVar[str] = "qa"
    unit: ClassVar[str] = "token F1, exact match and ROUGE-L"

    view: str = "passages"

    @property
    def parts(self) -> tuple[str, ...]:
        return (*(("reranker",) if self.view == "passages" else ()), *(("reader",) if self.view != "memory" else ()))

    def check(self, system: str) -> None:
        super().check(system)
        if self.view != "passages" and system != "memory":
            raise UsageFailure(f"the system {system} can look nothing up", "Leave out --view.")

    def settings(self, bench: Bench) -> dict[str, Any]:
        return {**super().settings(bench), "prompt": prompts.fill("ask", question="{question}")}

    def draw(self, bench: Bench) -> Sequence[Series | Measured]:
        loaded, stories = bench.loaded, load_stories(self.data)
        if bench.system == "memory":
            return [questions(loaded, stories, self.limit, view=self.view)]
        return [system_questions(loaded, stories, self.limit)]


@dataclasses.dataclass(frozen=True)
class RefusalTask(StoryTask):
    """How often ``ask`` refuses an answer: to questions of the text that was read, and to questions of another one."""

    name: ClassVar[str] = "refusal"
    unit: ClassVar[str] = "share refused"
    systems: ClassVar[tuple[str, ...]] = ("memory",)
    needs_memory: ClassVar[bool] = False

    @property
    def parts(self) -> tuple[str, ...]:
        return ("reranker", "reader")

    def settings(self, bench: Bench) -> dict[str, Any]:
        recipe = bench.loaded.recipe
        if recipe.refuse_below is None:
            raise InfiniError(
                f"{recipe.name} never refuses: its recipe has no refuse_below",
                "Set that threshold to what python -m benchmarks.refusal prints.",
            )
        prompt = prompts.fill("ask", question="{question}")
        return {**super().settings(bench), "prompt": prompt, "refuse_below": recipe.refuse_below}

    def draw(self, bench: Bench) -> Sequence[Series | Measured]:
        return refusals(bench.loaded, load_stories(self.data), self.limit)


@dataclasses.dataclass(frozen=True)
class SummaryTask(StoryTask):
    """Summaries, made as ``summarize`` makes them."""

    name: ClassVar[str] = "summary"
    unit: ClassVar[str] = "geometric mean of ROUGE"
    systems: ClassVar[tuple[str, ...]] = ("memory",)

    def draw(self, bench: Bench) -> Sequence[Series | Measured]:
        return [summaries(bench.loaded, load_stories(self.data), self.limit)]
