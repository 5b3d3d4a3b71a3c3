"""The passkey prompt of the paper, as token ids: a key sentence in hay, a question, an answer.

Pieces are encoded once and joined as ids, so a haystack of a million tokens costs no tokenisation and has exactly the
length that was asked for. Used by the training task and by the test alike, with seeds that never meet.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

INTRO = (
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
    "I will quiz you about the important information there."
)
FILLER = " The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
NEEDLE = " The pass key is {key}. Remember it. {key} is the pass key."
QUESTION = " What is the pass key? The pass key is"
ANSWER = " {key}."


class Passkey:
    """Builds passkey prompts.

    Args:
        encode: text to token ids, without special tokens.
    """

    def __init__(self, encode: Callable[[str], list[int]]) -> None:
        self.encode = encode
        self.intro = torch.tensor(encode(INTRO))
        self.filler_ids = torch.tensor(encode(FILLER))
        self.question = torch.tensor(encode(QUESTION))

    @property
    def question_tokens(self) -> int:
        """Tokens of the question."""
        return len(self.question)

    @property
    def answer_tokens(self) -> int:
        """Tokens of an answer; five digits always take the same number."""
        return len(self.encode(ANSWER.format(key=10_000)))

    def draw(self, rng: np.random.Generator) -> int:
        """A key of five digits."""
        return int(rng.integers(10_000, 100_000))

    def filler(self, length: int, offset: int = 0) -> Tensor:
        """``length`` tokens of the repeated filler, beginning ``offset`` tokens into it."""
        repeats = (offset + length) // len(self.filler_ids) + 1
        return self.filler_ids.repeat(repeats)[offset : offset + length]

    def needle(self, key: int) -> Tensor:
        """The sentence that tells the key."""
        return torch.tensor(self.encode(NEEDLE.format(key=key)))

    def answer(self, key: int) -> Tensor:
        """What should follow the question."""
        return torch.tensor(self.encode(ANSWER.format(key=key)))

    def hide(self, hay: Tensor, key: int, depth: float) -> tuple[Tensor, Tensor]:
        """The hay with the introduction before it and the key in it, in as many tokens as the hay had.

        Args:
            hay: ``[T]`` token ids; its last tokens give way to the introduction and the needle.
            key: what to hide.
            depth: where, from 0 (right after the introduction) to 1 (at the end).

        Returns:
            What stands before the needle, and the rest.

        Raises:
            ValueError: the hay is too short for the introduction and a needle.
        """
        needle = self.needle(key)
        room = len(hay) - len(self.intro) - len(needle)
        if room < 0:
            raise ValueError(f"{len(hay)} tokens of hay have no room for the introduction and a key")
        place = min(int(depth * (room + 1)), room)
        return torch.cat([self.intro, hay[:place]]), torch.cat([needle, hay[place:room]])
