"""What memory is worth on running text: the loss on it by position."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from ..model.loading import Loaded
from .hay import corpus_of
from .probes import Record, Scores, Series, System
from .task import Bench, Outcome, Task


@dataclasses.dataclass(frozen=True)
class LossTask(Task):
    """Loss on texts by position; perplexity a token, and a word as PG19 has it.

    Attributes:
        data: long texts.
        length: tokens of a stretch of text.
        limit: stretches, none of which overlaps another one.
    """

    name: ClassVar[str] = "ppl"
    unit: ClassVar[str] = "nats a token"

    data: Path
    length: int = 8192
    limit: int = 4

    def draw(self, bench: Bench) -> list[Series]:
        """None: every token of a text is scored while it is read."""
        return []

    def measure(self, bench: Bench) -> Outcome:
        blocks = corpus_of(bench, self.data).blocks(self.length + 1, self.limit, np.random.default_rng(bench.seed))
        if len(blocks) < self.limit:
            held = f"the texts hold {len(blocks)} stretches of {self.length:,} tokens"
            bench.reporter.note(f"{held} that do not overlap")
        with bench.reporter.progress(sum(map(len, blocks)), "measuring") as advance:
            found = streamed(bench.loaded, bench.start(), blocks, record=bench.record, on_tokens=advance)
        nats = found.nats / found.tokens
        return Outcome(
            found.by_position,
            {
                "nats_a_token": nats,
                "perplexity_a_token": math.exp(nats),
                "perplexity_a_word": math.exp(found.nats / found.words),
                "tokens_per_second": found.tokens / found.seconds,
                "state_bytes": found.state_bytes,
                "compression_ratio": found.plain_bytes / found.state_bytes if found.state_bytes else None,
            },
        )


@dataclasses.dataclass(frozen=True, slots=True)
class StreamedLoss:
    """Loss on texts that were read as a stream.

    Attributes:
        by_position: mean nats a token of each text, by the tokens before: the first segment, then twice as far each.
        nats: of all tokens together.
        tokens: tokens scored.
        words: words of the texts, as spaces part them.
        state_bytes: most bytes that the system kept.
        plain_bytes: what plain attention would have kept of as long a text.
        seconds: that reading and scoring took.
    """

    by_position: list[Scores]
    nats: float
    tokens: int
    words: int
    state_bytes: int
    plain_bytes: int
    seconds: float = dataclasses.field(compare=False)


def streamed(
    loaded: Loaded,
    system: System,
    texts: Sequence[Tensor],
    *,
    record: Record | None = None,
    on_tokens: Callable[[int], None] = lambda tokens: None,
) -> StreamedLoss:
    """Scores every token of texts.

    Args:
        loaded: the model.
        system: one that has read nothing; each text is read by a fork of it.
        texts: ``[T]`` token ids each, all of one length.
        record: figures of an earlier, interrupted run, and where to note new ones.
        on_tokens: called with the number of tokens after each text.
    """
    length, tokens = loaded.config.segment_length, len(texts[0]) - 1
    edges = [0]
    while edges[-1] < tokens:
        edges.append(min(max(length, 2 * edges[-1]), tokens))
    spans = list(pairwise(edges))
    means: list[list[float]] = [[] for _ in spans]
    state = seconds = 0.0
    for number, ids in enumerate(texts):
        figures = None if record is None else record.get(0, number)
        if figures is None:
            reader, began = system.fork(), time.monotonic()
            nats = losses(reader, loaded.model, ids, length)
            figures = {str(start): float(nats[start:end].mean()) for start, end in spans}
            figures["state_bytes"] = float(reader.state_bytes)
            figures["seconds"] = time.monotonic() - began
            if record is not None:
                record.put(0, number, figures)
        for (start, _), own in zip(spans, means, strict=True):
            own.append(figures[str(start)])
        state = max(state, figures["state_bytes"])
        seconds += figures["seconds"]
        on_tokens(len(ids))
    sizes = [end - start for start, end in spans]
    return StreamedLoss(
        [
            Scores({"from": start, "to": end}, tuple(figures))
            for (start, end), figures in zip(spans, means, strict=True)
        ],
        sum(size * sum(figures) for size, figures in zip(sizes, means, strict=True)),
        tokens * len(texts),
        sum(len(loaded.tokenizer.decode(ids[1:].tolist()).split()) for ids in texts),
        int(state),
        cache_bytes(loaded.model, tokens + 1),
        seconds,
    )


@torch.inference_mode()
def losses(system: System, model: PreTrainedModel, ids: Tensor, length: int) -> Tensor:
    """Loss on each token of a text that is read segment by segment, given all before it that the system still knows.

    Args:
        system: one that has read nothing; it reads the text.
        model: its model, for the output embeddings.
        ids: ``[T]`` token ids.
        length: tokens of a segment.

    Returns:
        ``[T - 1]``, nats, float32: the first token has nothing before it.
    """
    parts = []
    for start in range(0, len(ids) - 1, length):
        hidden = system.step(ids[None, start : start + length])[0]
        wanted = ids[start + 1 : start + length + 1].to(hidden.device)
        logits = model.get_output_embeddings()(hidden[: len(wanted)]).float()
        parts.append(F.cross_entropy(logits, wanted, reduction="none").cpu())
    return torch.cat(parts)


def cache_bytes(model: PreTrainedModel, tokens: int) -> int:
    """Bytes of the keys and values that plain attention would keep of so many tokens."""
    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * size * tokens * model.dtype.itemsize)
