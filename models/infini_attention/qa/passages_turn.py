"""A question with the passages that it is answered from, as one turn of the chat.

A base without a memory heeds what stands in its own turn; a reader of such a base is trained on the very same tokens.
"""

from __future__ import annotations

from ..model import prompts
from ..model.chat import turn_parts
from ..model.loading import Loaded


def passages_turn(loaded: Loaded, text: str, question: str) -> tuple[list[int], list[int]]:
    """Token ids of the turn, up to where its answer begins: those up to the end of the passages, and those behind them.

    The first part is the same for all questions on the same passages.

    Args:
        loaded: whose tokenizer and chat template to use.
        text: the passages; nobody need trust it.
        question: as a person put it.
    """
    before, _, after = prompts.fill("ask-passages", text=text, question=question).partition(text)
    opening, closing = turn_parts(loaded.tokenizer)
    return [*loaded.marks(opening), *loaded.encode(before + text)], [*loaded.encode(after), *loaded.marks(closing)]
