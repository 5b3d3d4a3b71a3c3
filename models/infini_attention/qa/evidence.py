"""What speaks for a text: how likely it becomes once a passage is read again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LogitsProcessorList

from ..memory.decoding import NeverBegins
from ..memory.engine import Engine
from ..memory.inject import memory_off
from ..model.loading import Loaded

# What a model is taught to answer where neither memory nor what is in view tells.
REFUSAL = "The text does not tell."
_BEGINNINGS = ("The text", "the text")


def without_refusal(loaded: Loaded, prompt_tokens: int) -> LogitsProcessorList:
    """Keeps an answer from being a refusal, once evidence has found passages that speak for the question.

    Where a model's recipe has a threshold for evidence, that decides far better than the model's own words: with the
    right section in view, the default model refused 5 of 12 questions of FairytaleQA's validation split. Without a
    threshold the model may refuse.

    Args:
        loaded: the model.
        prompt_tokens: of the instruction that is answered.
    """
    if loaded.recipe.refuse_below is None:
        return LogitsProcessorList()
    return LogitsProcessorList([NeverBegins(prompt_tokens, [loaded.encode(words) for words in _BEGINNINGS])])


@torch.inference_mode()
def log_likelihoods(engine: Engine, views: Sequence[Sequence[int]], scored: int, *, batch: int = 4) -> Tensor:
    """Log-likelihood of the last tokens of each view, given what was read and what stands before them in the view.

    Tokens that wait in the open segment count as read: the segment is closed, in a copy, so that every view has a whole
    segment to itself.

    Args:
        engine: what was read; it stays as it is.
        views: token ids each, no more than a segment, which end with the same ``scored`` tokens.
        scored: how many tokens at the end count.
        batch: views that run together.

    Returns:
        ``[len(views)]``, nats, float32, on the CPU.

    Raises:
        ValueError: a view is longer than a segment, or has nothing before the tokens that count.
    """
    length = engine.config.segment_length
    if any(not scored < len(view) <= length for view in views):
        raise ValueError(f"a view has more than {scored} tokens and at most the {length} of a segment")
    reader = engine.reading_again([])
    # Views of like length side by side waste the least on padding.
    order = sorted(range(len(views)), key=lambda number: len(views[number]))
    found = torch.zeros(len(views))
    for start in range(0, len(order), batch):
        numbers = order[start : start + batch]
        found[numbers] = _scored(reader, [views[number] for number in numbers], scored)
    return found


def _scored(reader: Engine, views: Sequence[Sequence[int]], scored: int) -> Tensor:
    # Behind its end a row may go on with anything: nothing before looks at it.
    longest = max(map(len, views))
    ids = torch.tensor([[*view, *[0] * (longest - len(view))] for view in views], device=reader.device)
    cache = reader.cache.fork() if reader.use_memory else None
    if cache is not None:
        cache.batch_repeat_interleave(len(views))
    with contextlib.nullcontext() if reader.use_memory else memory_off(reader.model):
        hidden = reader.model.get_decoder()(input_ids=ids, past_key_values=cache).last_hidden_state
    ends = torch.tensor([len(view) for view in views], device=hidden.device)
    places = ends[:, None] - scored + torch.arange(scored, device=hidden.device)
    rows = torch.arange(len(views), device=hidden.device)[:, None]
    logits = reader.model.get_output_embeddings()(hidden[rows, places - 1]).float()
    losses = F.cross_entropy(logits.flatten(0, 1), ids[rows, places].flatten(), reduction="none")
    return -losses.view(len(views), scored).sum(1).cpu()
