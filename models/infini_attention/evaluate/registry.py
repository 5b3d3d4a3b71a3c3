"""All tasks by name: what ``infini eval`` measures, and what its reports are about."""

from __future__ import annotations

from .passkeys import PasskeyTask
from .perplexity import LossTask
from .published import BabilongTask, RulerTask
from .recall import FactsTask, NeedleTask
from .story_tasks import QuestionTask, RefusalTask, SummaryTask
from .task import Task

ALL: tuple[type[Task], ...] = (
    PasskeyTask,
    NeedleTask,
    FactsTask,
    LossTask,
    QuestionTask,
    RefusalTask,
    SummaryTask,
    RulerTask,
    BabilongTask,
)
TASKS: dict[str, type[Task]] = {task.name: task for task in ALL}
