"""From an instruction to an answer: chat template, decoding token by token, and where an answer ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import LogitsProcessorList

    from infini_attention import Loaded
    from infini_attention.qa.choosing import Generates

# Given beyond the limit, so that an answer can end with its sentence.
GRACE = 64
_NO_REPEAT = 3
_NO_REPEAT_IN_VIEW = 6
_PENALTY = 1.2
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u2019\u201d)\]]*\s*")


class Turn:
    """One instruction and the model's answer to it.

    Args:
        loaded: The model.
        instruction: What to do, as a person would write it.
        limit: Tokens after which the answer ends with its sentence.
        least: Tokens before which the model may not end it.
        prompt: Token ids to go on from, in the place of the instruction in its chat template.

    Attributes:
        prompt: Token ids that the model saw after what was read.
        ids: Token ids of the answer so far.
        limit_reached: Whether the limit ended the answer.
        mid_sentence: Whether it did so inside a sentence.
        in_view: Whether what the answer needs is read again just before it: then words may be repeated freely, and only
            loops are kept out.
        may_refuse: Whether the answer may be that the text does not tell (see `evidence.without_refusal`).
        one_sentence: Whether the answer ends with its first sentence.
        quotable: How many tokens the prompt begins with that an answer may repeat as they stand.
    """

    def __init__(
        self, loaded: Loaded, instruction: str, limit: int, *, least: int = 0, prompt: Sequence[int] | None = None
    ) -> None:
        self.loaded = loaded
        self.limit = limit
        self.least = least
        self.in_view = False
        self.may_refuse = True
        if prompt is None:
            prompt = loaded.turn(instruction)
        self.prompt = list(prompt)
        self.one_sentence = False
        self.quotable = 0
        self.ids: list[int] = []
        self.limit_reached = False
        self.mid_sentence = False

    def pieces(self, engine: Generates) -> Iterator[str]:
        """Answer, piece by piece, from what an engine has read; it stays as it is."""
        from transformers import MinNewTokensLengthLogitsProcessor

        from infini_attention.model.chat import stop_ids
        from infini_attention.qa.evidence import without_refusal

        stop = stop_ids(self.loaded.model, self.loaded.tokenizer)
        processors = decoding(in_view=self.in_view, quotable=self.quotable)
        if not self.may_refuse:
            processors.extend(without_refusal(self.loaded, len(self.prompt)))
        if self.least and stop:
            processors.append(
                MinNewTokensLengthLogitsProcessor(
                    len(self.prompt), self.least, sorted(stop), device=str(self.loaded.placement.device)
                )
            )
        most = self.limit + GRACE
        decoder = TokenDecoder(self.loaded.tokenizer)
        tail = ""
        for token in engine.generate(self.prompt, most, stop=stop, processors=processors):
            piece = decoder.add(token)
            # Known only with the next piece: "3." may go on as "3.5".
            if piece[:1].isspace() and _SENTENCE_END.fullmatch(tail):
                if self.one_sentence:
                    return
                if len(self.ids) >= self.limit:
                    self.limit_reached = True
                    return
            self.ids.append(token)
            if piece:
                tail = _tail(tail + piece)
                yield piece
        rest = decoder.finish()
        if rest:
            tail = _tail(tail + rest)
            yield rest
        if len(self.ids) >= most:
            self.limit_reached = True
            self.mid_sentence = not _SENTENCE_END.fullmatch(tail)

    def transcript(self, text: str | None = None) -> list[int]:
        """Token ids of the instruction and the answer, closed as the chat template closes them.

        Args:
            text: An answer that was not generated.
        """
        from infini_attention.model.chat import turn_end

        ids = self.ids if text is None else self.loaded.encode(text)
        return [*self.prompt, *ids, *self.loaded.marks(turn_end(self.loaded.tokenizer))]


class TokenDecoder:
    """Turns tokens into text as they come, and never into half a character."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.shown = 0

    def add(self, token: int) -> str:
        """The text that a token adds; empty while a character is not complete."""
        self.ids.append(token)
        text = self._decode(self.ids)
        piece = text[len(self._decode(self.ids[: self.shown])) :]
        if not piece or piece.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        # The piece shown last stays in view, because the spacing of the next one depends on it.
        self.ids = self.ids[self.shown :]
        self.shown = len(self.ids)
        return piece

    def finish(self) -> str:
        """What is left when no more tokens come."""
        return self._decode(self.ids)[len(self._decode(self.ids[: self.shown])) :]

    def _decode(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def decoding(*, in_view: bool = False, quotable: int = 0) -> LogitsProcessorList:
    """How answers are decoded: a small model falls into loops otherwise.

    Args:
        in_view: Whether what the answer needs is in view. A penalty would turn "six hundred and eleven feet" into inches
            then, because the question has spoken of feet.
        quotable: how many of the first tokens of a prompt that has all of that in it do not count as repeated.
    """
    from transformers import LogitsProcessorList, NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

    from infini_attention.memory.decoding import Behind

    if in_view:
        return LogitsProcessorList([Behind(quotable, NoRepeatNGramLogitsProcessor(_NO_REPEAT_IN_VIEW))])
    return LogitsProcessorList([RepetitionPenaltyLogitsProcessor(_PENALTY), NoRepeatNGramLogitsProcessor(_NO_REPEAT)])


def tokens_for(words: int) -> int:
    """Tokens after which a text that should have so many words is cut off; languages and tokenizers differ."""
    return 2 * words


def _tail(text: str) -> str:
    """The end of a text from its last character that is neither a closing mark nor a space."""
    match = re.search(r"[^\s\"'\u2019\u201d)\]][\s\"'\u2019\u201d)\]]*$", text)
    return text if match is None else match[0]
