"""Sentences hidden in hay and a question about them: what the needle and the fact tasks are made of."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, slots=True)
class Hidden:
    """Sentences to hide, and a question that only who has read them can answer.

    Attributes:
        needles: whole sentences in the order in which they are to be read; each begins with a space.
        prompt: the question and the beginning of its answer, which is to be continued.
        answers: what the continuation has to name, all of it, each once.
    """

    needles: tuple[str, ...]
    prompt: str
    answers: tuple[str, ...]

    @property
    def question(self) -> str:
        """The question alone, as a person puts it."""
        return f"{self.prompt.strip().removeprefix('Question: ').partition('?')[0]}?"

    @property
    def answer(self) -> str:
        """How the prompt goes on: the answers with commas between them and a full stop."""
        return f" {', '.join(self.answers)}."


def names(text: str, part: str) -> bool:
    """Whether a text has a word or number, whole and in any case: 1234567 is not found in 12345678."""
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text, re.IGNORECASE) is not None


class Planter:
    """Puts sentences between those of hay.

    Args:
        encode: text to token ids, without special tokens.
        ends: ``[vocabulary]``, bool: whether a sentence may end with a token (see ``sentence_ends``).
    """

    def __init__(self, encode: Callable[[str], list[int]], ends: Tensor) -> None:
        self.encode, self.ends = encode, ends

    def needles(self, hidden: Hidden) -> list[Tensor]:
        """The sentences as token ids."""
        return [torch.tensor(self.encode(needle)) for needle in hidden.needles]

    def plant(self, needles: Sequence[Tensor], hay: Tensor, rng: np.random.Generator) -> Tensor:
        """Sentences in their order at random places of hay.

        Args:
            needles: each ``[n]`` token ids.
            hay: ``[T]`` token ids; none of them are left out.
            rng: draws the places, evenly over the hay, each moved back to the sentence's beginning.

        Returns:
            ``[T + all n]`` token ids.
        """
        borders = torch.cat([torch.zeros(1, dtype=torch.long), self.ends[hay].nonzero()[:, 0] + 1])
        drawn = torch.from_numpy(np.sort(rng.integers(0, len(hay) + 1, len(needles))))
        places = borders[torch.searchsorted(borders, drawn, right=True) - 1].tolist()
        pieces, start = [], 0
        for place, needle in zip(places, needles, strict=True):
            pieces += [hay[start:place], needle]
            start = place
        return torch.cat([*pieces, hay[start:]])


def sentence_ends(tokenizer: Any) -> Tensor:
    """``[vocabulary]``, bool: whether a sentence ends with the token, as far as its text tells.

    Args:
        tokenizer: of transformers.
    """
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    return torch.tensor(["\n" in text or text.rstrip("\"'”’)]* ").endswith((".", "!", "?")) for text in texts])
