"""Roll-outs and their gradients as CUDA graphs: recorded once a shape, then replayed with other tokens.

A step of training is tens of thousands of small products and sums. Started one by one, by Python, they leave a GPU idle for
more than nine tenths of the time; a graph is started at once. It can do only what it was recorded to do, with tensors that
stay where they are, so roll-outs have to come in few shapes (``Phase.shape_buckets``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..memory.recording import Recording, recorder
from ..memory.rules import COUNT_BITS
from .rollout import Learner, RolloutOutcome
from .segments import IGNORED, Marks, Segment

# The fewest tokens that rows of the last segment are padded to, and the fewest labelled tokens of a segment; larger numbers
# are rounded up to a power of two.
LEAST_TOKENS, LEAST_MARKS = 64, 512

# Of a segment: shape of its ids, labelled tokens, and what else decides what is computed.
Shape = tuple[tuple[int, ...], int, bool, tuple[int, ...], bool]


class GraphReplays:
    """A learner's roll-outs with their gradients, replayed.

    Args:
        learner: what is trained; no host decides anything by what it computes.
        parameters: of the learner, on the device.
        record: how work is recorded; ``None``: as CUDA graphs.
    """

    def __init__(
        self,
        learner: Learner,
        parameters: Mapping[str, nn.Parameter],
        record: Callable[[Callable[[], None]], Recording] | None = None,
    ) -> None:
        self.learner, self.parameters = learner, list(parameters.values())
        self.device = self.parameters[0].device
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.known: dict[tuple[Shape, ...], tuple[list[Segment], Recording, RolloutOutcome]] = {}
        self.record = record or recorder()

    def __call__(self, segments: Sequence[Segment]) -> RolloutOutcome:
        """A roll-out, and its gradients in the parameters; what it gives is overwritten by the next one.

        Args:
            segments: on the host.
        """
        segments = self._fitted(segments)
        key = signature(segments)
        if key not in self.known:
            self.known[key] = self._record(segments)
        held, recording, outcome = self.known[key]
        for one, other in zip(held, segments, strict=True):
            _fill(one, other)
        recording.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        return outcome

    def _fitted(self, segments: Sequence[Segment]) -> list[Segment]:
        """In the shape of the smallest recording that they can be padded to, or else in a round one."""
        *stem, last = signature(segments)
        fitting = [
            (shape[0][1], shape[1])
            for *other, shape in self.known
            if other == stem
            and shape[2:] == last[2:]
            and shape[0][0] == last[0][0]
            and shape[0][1] >= last[0][1]
            and shape[1] >= last[1]
        ]
        if fitting:
            return padded(segments, *min(fitting))
        return rounded(segments)

    def _record(self, segments: Sequence[Segment]) -> tuple[list[Segment], Recording, RolloutOutcome]:
        held = [_on(self.device, segment) for segment in segments]
        if not self.known:
            # Libraries set themselves up when they are first used, which cannot be recorded.
            self._roll(held)
        outcomes: list[RolloutOutcome] = []
        recording = self.record(lambda: outcomes.append(self._roll(held)))
        return held, recording, outcomes[-1]

    def _roll(self, segments: list[Segment]) -> RolloutOutcome:
        torch._foreach_zero_(self.gradients)
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        outcome = self.learner(segments)
        outcome.loss.backward()
        return RolloutOutcome(*(tensor.detach() for tensor in outcome))


def padded(segments: Sequence[Segment], tokens: int, marks: int) -> list[Segment]:
    """The same roll-out, with as many tokens in the rows of its last segment, and places that do not count.

    Args:
        segments: of a roll-out.
        tokens: at least as many as there are; nothing follows them that could see it.
        marks: places of the last segment, likewise.
    """
    *before, last = segments
    missing = tokens - last.ids.shape[1]
    labels = None if last.labels is None else F.pad(last.labels, (0, missing), value=IGNORED)
    last = dataclasses.replace(last, ids=F.pad(last.ids, (0, missing)), labels=labels)
    return [*(dataclasses.replace(one, marks=one.marked) for one in before), _with_marks(last, marks)]


def rounded(segments: Sequence[Segment]) -> list[Segment]:
    """The same roll-out in a shape that is not much larger, and that many others have."""
    marks = segments[-1].marked
    places = 0 if marks is None else len(marks.places)
    return padded(segments, _power(segments[-1].ids.shape[1], LEAST_TOKENS), _power(places, LEAST_MARKS))


def signature(segments: Sequence[Segment]) -> tuple[Shape, ...]:
    """What roll-outs must have in common to be replayed as each other."""
    return tuple(
        (
            tuple(segment.ids.shape),
            0 if (marks := segment.marked) is None else len(marks.places),
            segment.backprop,
            segment.replayed,
            segment.distil,
        )
        for segment in segments
    )


def _power(number: int, least: int) -> int:
    return max(least, 1 << (number - 1).bit_length())


def _with_marks(segment: Segment, count: int) -> Segment:
    marks = segment.marked
    if marks is None:
        return segment
    missing = count - len(marks.places)
    padded_marks = Marks(F.pad(marks.places, (0, missing)), F.pad(marks.labels, (0, missing), value=IGNORED))
    return dataclasses.replace(segment, marks=padded_marks)


def _on(device: torch.device, segment: Segment) -> Segment:
    """A segment with tensors of its own on a device, whose replays come any number of times."""
    marks = None if segment.marks is None else Marks(*(tensor.to(device, copy=True) for tensor in segment.marks))
    times = torch.ones((), dtype=torch.long, device=device) if segment.replayed else 1
    return dataclasses.replace(segment, ids=segment.ids.to(device, copy=True), labels=None, marks=marks, times=times)


def _fill(held: Segment, segment: Segment) -> None:
    held.ids.copy_(segment.ids)
    if held.marks is not None and segment.marks is not None:
        for one, other in zip(held.marks, segment.marks, strict=True):
            one.copy_(other)
    if isinstance(held.times, Tensor):
        held.times.fill_(min(int(segment.times), (1 << COUNT_BITS) - 1))
