"""The tokens that stood just before a value, as a part of its key.

Hidden states before two values look alike where their sentences do: after "the number of A is" and "the number of B is" a
frozen base asks memory for nearly the same, and is given either number. The tokens themselves tell the two apart. Each token
has signs of its own, drawn from its input embedding; an n-gram's signs are the product of its tokens' signs, those of a token
further back rolled on by its distance. Equal n-grams have equal signs; n-grams that differ in a token have about half of
their signs in common, which makes them orthogonal.

This is the binding of vector symbolic architectures (Gayler 2003, arXiv cs/0412059), in the place of the short convolution
that DeltaNet (arXiv 2406.06484) has before its keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Rows of the embedding that are looked at together.
CHUNK = 8192


class TokenSigns:
    """A token's signs for each KV head: of fixed random projections of its input embedding, less all tokens' mean.

    Args:
        embed: the base's input embedding.
        kv_heads: KV heads of a layer, all of them.
        size: of a head.

    Nothing of it is trained or saved: the same base gives the same signs.
    """

    def __init__(self, embed: nn.Embedding, kv_heads: int, size: int) -> None:
        # Weights that are offloaded, sharded or scaled show what they are only when they are used.
        device = "cpu" if embed.weight.is_meta else embed.weight.device
        with torch.no_grad():
            parts = torch.arange(embed.num_embeddings, device=device).split(CHUNK)
            self.mean = torch.stack([embed(ids[None])[0].float().sum(0) for ids in parts]).sum(0) / embed.num_embeddings
        generator = torch.Generator().manual_seed(0)
        projection = torch.randn(len(self.mean), kv_heads * size, generator=generator)
        self.projection = projection.to(self.mean.device)
        self.shape = (kv_heads, size)

    def __call__(self, embedded: Tensor) -> Tensor:
        """``[B, T, C]`` input embeddings to ``[B, T, H, D]``, -1 or 1, float32."""
        if self.mean.device != embedded.device:
            # The model was moved after its memory path was put in.
            self.mean, self.projection = self.mean.to(embedded.device), self.projection.to(embedded.device)
        projected = (embedded.detach().float() - self.mean) @ self.projection
        return torch.where(projected > 0, 1.0, -1.0).reshape(*projected.shape[:2], *self.shape)


def bind(signs: Tensor, lengths: Sequence[int]) -> Tensor:
    """The n-grams of some lengths at each place of a text.

    Args:
        signs: ``[B, n + T, H, D]`` of tokens, with the n before the first one, n the greatest length; zero before a text's
            beginning.
        lengths: how many tokens an n-gram has.

    Returns:
        ``[lengths, B, T + 1, H, D]``, rows of length one: n-grams that end just before each token and, last, with the last
        token. Those that would reach over the beginning are zero.
    """
    longest = max(lengths)
    places = signs.shape[1] - longest + 1
    bound = torch.ones_like(signs[:, :places])
    found = {}
    for distance in range(longest):
        first = longest - 1 - distance
        bound = bound * signs[:, first : first + places].roll(distance, -1)
        found[distance + 1] = bound / signs.shape[-1] ** 0.5
    return torch.stack([found[length] for length in lengths])
