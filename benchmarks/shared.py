"""What the benchmarks' reports have in common: what they are about, and how they get into a Markdown file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from infini_attention import Loaded


def about(loaded: Loaded, task: str, texts: Path) -> dict[str, Any]:
    """What the figures of a task on a model and texts depend on, as ``infini eval`` tells it."""
    return {
        "schema": f"benchmarks.{task}/1",
        "task": task,
        "model": loaded.origin.model,
        "adapter": loaded.origin.adapter,
        "texts": texts.resolve().name,
        "dtype": str(loaded.placement.dtype).removeprefix("torch."),
    }


def put_between(text: str, begin: str, end: str, content: Callable[[], str]) -> str:
    """A Markdown text with what stands between two markers written anew.

    Raises:
        ValueError: it has no place for that.
    """
    head, first, rest = text.partition(begin)
    _, last, tail = rest.partition(end)
    if not first or not last:
        raise ValueError(f"the text has no {begin} and {end}")
    return f"{head}{begin}\n\n{content()}\n\n{end}{tail}"
