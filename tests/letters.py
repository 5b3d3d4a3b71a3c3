"""A token a letter, so that tests can read what a task shows; and hay whose ids are above all letters."""

from __future__ import annotations

import numpy as np
from infini_attention.data.corpus import Corpus
from infini_attention.data.passkey import Passkey
from infini_attention.train.segments import IGNORED, Segment
from torch import Tensor


def encode(text: str) -> list[int]:
    """Five digits always take five tokens."""
    return [ord(letter) for letter in text]


def decode(ids: Tensor) -> str:
    """The letters of token ids; a question mark for what stands for none."""
    return "".join(chr(i) if 0 <= i < 1000 else "?" for i in ids.tolist())


def answers_of(segment: Segment) -> list[str]:
    """What each row asks for, read from the labels."""
    assert segment.labels is not None
    return [decode(row[row != IGNORED]) for row in segment.labels]


PASSKEY = Passkey(encode)
CORPUS = Corpus(np.arange(1000, 7000, dtype=np.uint32), np.asarray([2500, 6000]))


class Letters:
    """Stands for a loaded model: a token a letter, no chat template."""

    class tokenizer:
        chat_template = None

    @staticmethod
    def encode(text: str) -> list[int]:
        return encode(text)

    marks = encode

    @staticmethod
    def turn(instruction: str) -> list[int]:
        return encode(f"{instruction}\n\n")
