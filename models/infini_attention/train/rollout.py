"""One training roll-out: consecutive segments through the base and its memories, and the loss on their labels."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, Self

import torch
import torch.nn.functional as F
from peft.helpers import disable_input_dtype_casting
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from ..memory.cache import InfiniCache
from ..memory.inject import injection, new_cache
from ..memory.parameters import memory_parameters
from .distillation import divergence, teach
from .segment_replay import SegmentReplays
from .segments import IGNORED, Segment

# A roll-out decides itself where its segments end, so that training can draw their length.
UNBOUNDED = 1 << 40


class RolloutOutcome(NamedTuple):
    """Result of a roll-out: mean loss in nats a labelled token (differentiable), and the labels' hits."""

    loss: Tensor
    correct: Tensor
    labelled: Tensor


class Part(Protocol):
    """A part of what a task draws for a step, such as a segment."""

    @property
    def ids(self) -> Tensor:
        """Token ids that are read."""

    def to(self, device: torch.device) -> Self:
        """The same on a device."""


class Learner(Protocol):
    """A module that can be trained: its forward is a whole roll-out, so that it can be wrapped for several devices."""

    model: PreTrainedModel

    def trained(self) -> dict[str, nn.Parameter]:
        """What is trained, by name; from here on nothing else of the module requires gradients."""

    def __call__(self, parts: Any) -> RolloutOutcome:
        """Runs what a task of its kind has drawn: segments in order, with nothing read before the first.

        Raises:
            ValueError: no segment has a label.
        """


class LossTally:
    """Loss and hits of a roll-out's labelled tokens.

    Args:
        head: hidden states to logits.
    """

    def __init__(self, head: nn.Module) -> None:
        self.head = head
        self.outcomes: list[RolloutOutcome] = []

    def add(self, segment: Segment, hidden: Tensor, taught: Tensor | None = None) -> None:
        """Counts a segment in.

        Args:
            segment: with or without labels.
            hidden: ``[B, T, C]``, the last hidden states of its tokens.
            taught: the teacher's hidden states of the labelled ones, where the segment is to be distilled.
        """
        marks = segment.marked
        if marks is None or not len(marks.places):
            return
        logits = self.head(hidden.flatten(0, 1).index_select(0, marks.places)).float()
        counted = marks.labels != IGNORED
        if taught is not None:
            with torch.no_grad():
                expected = self.head(taught).float()
            loss = (divergence(expected, logits) * counted).sum()
        else:
            loss = F.cross_entropy(logits, marks.labels, reduction="sum", ignore_index=IGNORED)
        correct = (logits.detach().argmax(-1) == marks.labels).sum()
        self.outcomes.append(RolloutOutcome(loss, correct, counted.sum()))

    def outcome(self) -> RolloutOutcome:
        """Of all segments.

        Raises:
            ValueError: no segment had a label.
        """
        if not self.outcomes:
            raise ValueError("a roll-out needs a label somewhere")
        device = self.outcomes[-1].loss.device
        losses, correct, labelled = zip(*self.outcomes, strict=True)
        total, hits, count = (
            torch.stack([x.to(device) for x in column]).sum(0) for column in (losses, correct, labelled)
        )
        return RolloutOutcome(total / count, hits, count)


class Rollout(nn.Module):
    """The learner of a memory path.

    Args:
        model: a language model with a memory path; only the memory path is to require gradients.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def trained(self) -> dict[str, nn.Parameter]:
        """The memory path's parameters, by adapter name; from here on they alone require gradients."""
        return only_trained(self, memory_parameters(self.model))

    def forward(self, segments: list[Segment]) -> RolloutOutcome:
        """See ``Learner``."""
        taught = teach(self.model, segments)
        cache = training_cache(self.model)
        replays = SegmentReplays(cache, {number for segment in segments for number in segment.replayed})
        tally, rows = LossTally(self.model.get_output_embeddings()), 0
        for number, segment in enumerate(segments):
            for layer in cache.memories.values():
                layer.learn_writes = not segment.backprop and torch.is_grad_enabled()
            if number and len(segment.ids) > rows:
                cache.batch_repeat_interleave(len(segment.ids) // rows)
            rows = len(segment.ids)
            tally.add(segment, self._read(segment, cache), taught.get(number))
            if number + 1 < len(segments):
                if number == 0 and cache.config.reread_first:
                    cache.close_segment()
                    if cache.begin_again() is not None:
                        self._read(segment, cache)
                replays.note(number)
                cache.close_segment()
                replays.replay(segment.replayed, segment.times)
        return tally.outcome()

    def _read(self, segment: Segment, cache: InfiniCache) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and segment.backprop):
            hidden: Tensor = self.model.get_decoder()(input_ids=segment.ids, past_key_values=cache).last_hidden_state
        return hidden


def only_trained(module: nn.Module, parameters: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """The parameters, which from here on are the only ones of the module that require gradients."""
    module.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    return parameters


@contextlib.contextmanager
def quick_to_learn(model: PreTrainedModel) -> Iterator[None]:
    """A context in which an adapter of a model learns quickly, its weights in float32 and those of the model in any dtype.

    On a processor attention is not the fused one, which is slow backwards. Where the model has 16 bits, what an adapter is
    multiplied with stays in them, and its own few weights are cast.
    """
    device, half = model.device.type, model.dtype in (torch.bfloat16, torch.float16)
    sums = torch.backends.cuda
    before = sums.fp16_bf16_reduction_math_sdp_allowed()
    with contextlib.ExitStack() as stack:
        if device == "cpu":
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            # In spite of its name it holds for processors: they sum up in float32 anyway.
            stack.callback(sums.allow_fp16_bf16_reduction_math_sdp, before)
            sums.allow_fp16_bf16_reduction_math_sdp(True)
        if half:
            stack.enter_context(disable_input_dtype_casting(model))
            stack.enter_context(torch.autocast(device, model.dtype))
        yield


def training_cache(model: PreTrainedModel) -> InfiniCache:
    """An empty cache whose segments end only when they are told to."""
    cache = new_cache(model)
    record = injection(model)
    assert record is not None
    cache.config = dataclasses.replace(record.config, segment_length=UNBOUNDED)
    return cache
