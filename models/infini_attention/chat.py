"""Instructions in the base's chat template, as text that ``Loaded.encode(..., special=True)`` takes."""

from __future__ import annotations

from typing import Any

_MARK = "infini-answer-mark"


def turn_start(tokenizer: Any, instruction: str) -> str:
    """An instruction, up to where its answer begins; a blank line ends it where the base has no chat template."""
    if not tokenizer.chat_template:
        return f"{instruction}\n\n"
    messages = [{"role": "user", "content": instruction}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def turn_end(tokenizer: Any) -> str:
    """What the chat template puts behind an answer."""
    if not tokenizer.chat_template:
        return "\n\n"
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False)).rpartition(_MARK)[2]
