"""Questions about what was hidden, as a person puts them: in the chat template, in many wordings, with no answer begun."""

from __future__ import annotations

import numpy as np

from ..data.hiding import Hidden
from ..model.loading import Loaded
from .questions import answered

WORDINGS = (
    "{}",
    "{}",
    "{} Answer briefly.",
    "{} Answer in a few words.",
    "Tell me: {}",
    "Question: {}",
    "I would like to know: {}",
    "From what you have read: {}",
    "You have read a long text. {}",
    "Look back at the text. {}",
    "Please answer this question about the text: {}",
    "Answer from what you remember. {}",
    "Hi! {} Thanks.",
    "Do you remember? {}",
)


class ChatQuestions:
    """Puts the question of what was hidden in one of the wordings.

    Args:
        loaded: whose chat template and tokenizer to use.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded

    def __call__(self, hidden: Hidden, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """Token ids of a turn with the question, and of its answer with the end of its turn."""
        asked = WORDINGS[int(rng.integers(len(WORDINGS)))].format(hidden.question)
        return self.loaded.turn(asked), answered(self.loaded, hidden.answer.strip())
