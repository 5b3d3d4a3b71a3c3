"""Summaries of texts, made as people are given them: ROUGE against what others wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..data.stories import Story
from ..documents.source import document_of_text
from ..errors import InfiniError
from ..model.loading import Loaded
from ..session import Session
from .probes import Measured, spread
from .scores import rouge


def summaries(loaded: Loaded, stories: Sequence[Story], limit: int | None) -> Measured:
    """Summaries as long as those that others wrote, made as `summarize` makes them.

    The score is ``rouge``, the geometric mean of ROUGE-1, -2 and -L.

    Args:
        loaded: the model.
        stories: those without a summary are left out.
        limit: texts to summarise, spread evenly over all; ``None``: all.

    Raises:
        InfiniError: there is no summary.
    """
    with_summary = [story for story in stories if story.summaries]
    if not with_summary:
        raise InfiniError("no text comes with a summary", 'write {"text": ..., "summaries": [...]} a line')
    chosen = spread(with_summary, limit)

    def measure(trial: int) -> Mapping[str, float]:
        story = chosen[trial]
        session = Session(loaded)
        session.add([document_of_text(story.text, "story")])
        summary = session.summarize(max(10, round(story.summary_words, -1)))
        return {"rouge": rouge(summary.text, story.summaries)["mean"]}

    return Measured({"kind": "summaries"}, len(chosen), measure, sum(len(story.text) // 4 for story in chosen))
