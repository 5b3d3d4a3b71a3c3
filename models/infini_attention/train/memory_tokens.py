"""The learner of the baseline ``rmt``."""

from __future__ import annotations

from torch import nn

from ..evaluate.baselines.recurrent import MemoryTokens
from ..memory.adapting import put_in_force
from .distillation import teach
from .rollout import LossTally, RolloutOutcome
from .segments import Segment


class RecurrentRollout(nn.Module):
    """Roll-outs through memory tokens; gradients flow through all segments, whether they are to be learned through or not.

    Args:
        tokens: memory tokens and the model that they are in.
    """

    def __init__(self, tokens: MemoryTokens) -> None:
        super().__init__()
        self.tokens = tokens
        self.model = tokens.model

    def trained(self) -> dict[str, nn.Parameter]:
        """Memory tokens and low-rank changes; from here on they alone require gradients."""
        self.tokens.adapter.trained()
        self.tokens.first.requires_grad_(True)
        return self.tokens.weights()

    def forward(self, segments: list[Segment]) -> RolloutOutcome:
        """See ``rollout.Learner``.

        Raises:
            ValueError: no segment has a label, or one has replays, which only a memory can write.
        """
        if any(segment.replayed for segment in segments):
            raise ValueError("memory tokens cannot be written again")
        taught = {}
        if any(segment.distil for segment in segments):
            put_in_force(self.model, None)
            taught = teach(self.model, segments)
        tally = LossTally(self.model.get_output_embeddings())
        memory = self.tokens.start(len(segments[0].ids))
        for number, segment in enumerate(segments):
            memory = memory.repeat_interleave(len(segment.ids) // len(memory), 0)
            hidden, memory = self.tokens(memory, segment.ids)
            tally.add(segment, hidden, taught.get(number))
        return tally.outcome()
