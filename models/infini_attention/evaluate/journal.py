"""Scores of trials as they come, in a file: a measurement of hours goes on where it was stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..files import make_private
from ..memory.state import Origin


class Journal:
    """A JSON line a trial.

    Args:
        folder: where journals are kept.
        origin: the model that is measured.
        about: everything else that the scores depend on, in plain values.
    """

    def __init__(self, folder: Path, origin: Origin, about: Mapping[str, Any]) -> None:
        described = json.dumps([__version__, repr(origin), dict(about)], sort_keys=True)
        self.path = folder / f"{hashlib.sha256(described.encode()).hexdigest()[:24]}.jsonl"
        self.scores: dict[tuple[int, int], dict[str, float]] = {}
        if self.path.exists():
            # The last line may have been cut by what stopped the run; the next one begins anew.
            text = self.path.read_text(encoding="utf-8", errors="replace")
            if not text.endswith("\n"):
                self.path.write_text(text + "\n", encoding="utf-8")
            for line in text.splitlines():
                with contextlib.suppress(ValueError, TypeError, AttributeError):
                    series, trial, scores = json.loads(line)
                    self.scores[int(series), int(trial)] = {name: float(score) for name, score in scores.items()}

    def __len__(self) -> int:
        return len(self.scores)

    def get(self, series: int, trial: int) -> dict[str, float] | None:
        """The scores of a trial, by measure, if it was measured before."""
        return self.scores.get((series, trial))

    def put(self, series: int, trial: int, scores: Mapping[str, float]) -> None:
        """Notes the scores of a trial, by measure."""
        self.scores[series, trial] = dict(scores)
        make_private(self.path.parent)
        with os.fdopen(
            os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(json.dumps([series, trial, dict(scores)]) + "\n")

    def remove(self) -> None:
        """Forgets the run, once its result is safe."""
        self.path.unlink(missing_ok=True)
