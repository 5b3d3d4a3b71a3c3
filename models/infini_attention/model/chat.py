"""The parts of the base's chat template, as text that ``Loaded.marks`` encodes; what stands between them never is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MARK = "infini-answer-mark"


def turn_parts(tokenizer: Any) -> tuple[str, str]:
    """What the chat template puts before an instruction, and between it and its answer.

    A blank line ends an instruction where the base has no chat template.
    """
    if not tokenizer.chat_template:
        return "", "\n\n"
    messages = [{"role": "user", "content": _MARK}]
    text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    before, _, after = text.partition(_MARK)
    return before, after


def turn_end(tokenizer: Any) -> str:
    """What the chat template puts behind an answer."""
    if not tokenizer.chat_template:
        return "\n\n"
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False)).rpartition(_MARK)[2]


def answer_end(tokenizer: Any) -> str:
    """What a model learns to put behind an answer: the end of the turn, or a blank line without a chat template."""
    return turn_end(tokenizer).rstrip("\n") or "\n\n"


def stop_ids(model: PreTrainedModel, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer: the model's, the tokenizer's, and the chat template's end of turn."""
    ids: set[int] = set()
    for found in (
        getattr(model.generation_config, "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        ids.update([] if found is None else [found] if isinstance(found, int) else found)
    closing = tokenizer(turn_end(tokenizer).strip(), add_special_tokens=False)["input_ids"]
    if closing and closing[0] in tokenizer.added_tokens_decoder:
        ids.add(closing[0])
    return frozenset(ids)
