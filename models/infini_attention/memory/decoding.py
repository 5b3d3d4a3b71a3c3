"""The decoding loop that the engine and the baselines share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList


def decode(
    logits_of: Callable[[list[int]], Tensor],
    view: Sequence[int],
    prompt_tokens: int,
    max_new_tokens: int,
    *,
    stop: Collection[int] = (),
    processors: LogitsProcessorList | None = None,
    choose: Callable[[Tensor], int] | None = None,
) -> Iterator[int]:
    """Token after token.

    Args:
        logits_of: ids that follow those of the call before to the logits, ``[1, V]``, of what comes next.
        view: ids to begin with, at least one.
        prompt_tokens: how many at the end of ``view`` the processors see, beside the answer.
        max_new_tokens: the most tokens to give.
        stop: ids that end the answer; they are not given.
        processors: transformers' logits processors.
        choose: picks a token from ``[V]`` logits; the likeliest by default.

    Yields:
        Token ids, each as soon as it is known.
    """
    ids, history = list(view), list(view[len(view) - prompt_tokens :])
    for _ in range(max_new_tokens):
        logits = logits_of(ids).float()
        if processors is not None:
            logits = processors(cast(torch.LongTensor, torch.tensor([history], device=logits.device)), logits)
        token = int(logits[0].argmax()) if choose is None else choose(logits[0])
        if token in stop:
            return
        yield token
        ids = [token]
        history.append(token)


class Behind(LogitsProcessor):
    """Another logits processor, which does not see the first tokens.

    Args:
        hidden: how many.
        processor: the other one.
    """

    def __init__(self, hidden: int, processor: LogitsProcessor) -> None:
        self.hidden, self.processor = hidden, processor

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """``[1, V]`` logits, as the other one changes them."""
        seen = cast(torch.LongTensor, input_ids[:, self.hidden :])
        return cast(torch.FloatTensor, self.processor(seen, scores))


class NeverBegins(LogitsProcessor):
    """Keeps answers from beginning with certain tokens; later in an answer they may stand.

    Args:
        prompt_tokens: how many tokens of the history are not the answer's.
        beginnings: token ids, at least one each.
    """

    def __init__(self, prompt_tokens: int, beginnings: Sequence[Sequence[int]]) -> None:
        self.prompt_tokens, self.beginnings = prompt_tokens, [list(one) for one in beginnings]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """``[1, V]`` logits, with minus infinity for what would complete such a beginning."""
        answer = input_ids[0, self.prompt_tokens :].tolist()
        unwanted = [one[-1] for one in self.beginnings if one[:-1] == answer]
        if not unwanted:
            return scores
        return cast(torch.FloatTensor, scores.index_fill(1, torch.tensor(unwanted, device=scores.device), -torch.inf))


def room_for_answer(open_tokens: int, prompt_tokens: int, max_new_tokens: int, segment_length: int) -> bool:
    """Whether a prompt and its answer fit into the open segment; where not, it is closed, so that neither is torn."""
    return open_tokens + prompt_tokens + max_new_tokens <= segment_length
