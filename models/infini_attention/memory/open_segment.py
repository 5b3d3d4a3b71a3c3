"""The open segment: local keys and values of its tokens, and their signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache, PretrainedConfig

from .ngrams import bind


class SeenSigns(NamedTuple):
    """Signs of the tokens that go through the decoder, where its memory paths ask for them.

    Attributes:
        signs: ``[B, T, H, D]``.
        ngrams: of the same tokens (see ``ngrams.bind``).
    """

    signs: Tensor | None = None
    ngrams: Tensor | None = None


class OpenSegment(DynamicCache):
    """Local keys and values of the open segment, and the signs of tokens around its beginning.

    Attributes:
        behind: ``[B, n, H, D]``, signs of the tokens just before those that come next, also of the segment before; ``None``
            at a text's beginning.
        before: what ``behind`` was at the segment's beginning.
        trail: signs of the segment's tokens, in pieces, where n-grams are seen.
    """

    def __init__(self, base_config: PretrainedConfig, behind: Tensor | None = None) -> None:
        super().__init__(config=base_config)
        self.behind = self.before = behind
        self.trail: list[Tensor] = []

    def see(self, signs: Tensor, lengths: Sequence[int]) -> SeenSigns:
        """Keeps the signs of tokens that come next in the text, ``[B, T, H, D]``, and binds the n-grams of some lengths."""
        if not lengths:
            return SeenSigns(signs)
        longest = max(lengths)
        if not self.trail:
            self.before = self.behind
        self.trail = [*self.trail, signs]
        if self.behind is None:
            self.behind = signs.new_zeros(signs.shape[0], longest, *signs.shape[2:])
        seen = torch.cat([self.behind, signs], 1)
        self.behind = seen[:, -longest:]
        return SeenSigns(signs, bind(seen, lengths))

    def keep_first(self, tokens: int, tokens_now: int) -> None:
        """Takes back all of the segment's tokens, of which there are ``tokens_now``, but the first ones."""
        if not tokens_now:
            return
        self.crop(tokens - tokens_now)
        if not self.trail:
            return
        signs = torch.cat(self.trail, 1)[:, :tokens]
        self.trail = [signs] if tokens else []
        if not tokens:
            self.behind = self.before
            return
        assert self.behind is not None
        longest = self.behind.shape[1]
        before = torch.zeros_like(self.behind) if self.before is None else self.before
        self.behind = torch.cat([before, signs], 1)[:, -longest:]

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Reorders the batch for beam search."""
        super().reorder_cache(beam_idx)
        self._map_signs(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats each sequence of the batch ``repeats`` times."""
        super().batch_repeat_interleave(repeats)
        some = self.behind if self.behind is not None else next(iter(self.trail), None)
        if some is not None:
            self._map_signs(torch.arange(len(some)).repeat_interleave(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps the sequences of these numbers, or those that a mask marks."""
        super().batch_select_indices(indices)
        self._map_signs(indices.nonzero()[:, 0] if indices.dtype == torch.bool else indices)

    def _map_signs(self, rows: Tensor) -> None:
        def chosen(tensor: Tensor) -> Tensor:
            return tensor.index_select(0, rows.to(tensor.device))

        self.behind = None if self.behind is None else chosen(self.behind)
        self.before = None if self.before is None else chosen(self.before)
        self.trail = [chosen(signs) for signs in self.trail]
