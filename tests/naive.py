"""Token-by-token references of the memory rules and of a whole attention layer: slow, plain, one head at a time.

Written from the equations alone (arXiv 2404.07143, arXiv 2412.06464), so that they share no code and no trick with the
library. Vectors are rows; ``M`` is ``[D, V]``.
"""

from __future__ import annotations

import math

import torch
from infini_attention.memory.config import InfiniConfig
from infini_attention.memory.rules import Memory, Write
from torch import Tensor

Head = tuple[Tensor, Tensor]


def sigma(x: Tensor) -> Tensor:
    """ELU + 1 by its definition."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


def unit(x: Tensor) -> Tensor:
    """A vector of length one; the zero vector stays."""
    length = x.square().sum().sqrt()
    return x / length if length > 0 else x


def read_normalised(matrix: Tensor, norm: Tensor, mapped: Tensor) -> Tensor:
    """sigma(q) M / (sigma(q) z) for one query; nothing where nothing was written."""
    weight = (mapped * norm).sum()
    return mapped @ matrix / weight if weight > 0 else torch.zeros_like(matrix[0])


def write_linear(matrix: Tensor, norm: Tensor, keys: Tensor, values: Tensor) -> Head:
    """M += sigma(k)^T v and z += sigma(k), a token after the other."""
    for key, value in zip(keys, values, strict=True):
        matrix = matrix + torch.outer(sigma(key), value)
        norm = norm + sigma(key)
    return matrix, norm


def write_delta(matrix: Tensor, norm: Tensor, keys: Tensor, values: Tensor) -> Head:
    """As ``write_linear``, but each value less what the memory *before the segment* held for its key."""
    before, weight = matrix, norm
    for key, value in zip(keys, values, strict=True):
        held = read_normalised(before, weight, sigma(key))
        matrix = matrix + torch.outer(sigma(key), value - held)
        norm = norm + sigma(key)
    return matrix, norm


def write_deltanet(matrix: Tensor, keys: Tensor, values: Tensor, beta: Tensor, g: Tensor) -> Tensor:
    """The gated delta rule: let the memory decay, then move what it holds for the key towards the value."""
    for key, value, b, log_a in zip(keys, values, beta, g, strict=True):
        matrix = log_a.exp() * matrix
        direction = unit(key)
        matrix = matrix + b * torch.outer(direction, value - direction @ matrix)
    return matrix


def update(rule: str, memory: Memory, write: Write) -> Memory:
    """All heads of all sequences, one by one."""
    matrices, norms = [], []
    for b in range(write.keys.shape[0]):
        for h in range(write.keys.shape[1]):
            matrix, keys, values = memory.matrix[b, h], write.keys[b, h], write.values[b, h]
            if rule == "deltanet":
                assert write.beta is not None and write.g is not None
                matrices.append(write_deltanet(matrix, keys, values, write.beta[b, h], write.g[b, h]))
            else:
                assert memory.norm is not None
                step = write_linear if rule == "linear" else write_delta
                matrix, norm = step(matrix, memory.norm[b, h], keys, values)
                matrices.append(matrix)
                norms.append(norm)
    matrix = torch.stack(matrices).reshape(memory.matrix.shape)
    return Memory(matrix, torch.stack(norms).reshape(matrix.shape[:-1]) if norms else None)


def read(rule: str, matrix: Tensor, norm: Tensor | None, query: Tensor) -> Tensor:
    """What one head's memory holds for one query."""
    if rule == "deltanet":
        return unit(query) @ matrix
    assert norm is not None
    return read_normalised(matrix, norm, sigma(query))


def retrieve(rule: str, memory: Memory, queries: Tensor) -> Tensor:
    """Query head ``j`` of ``Hq`` reads KV head ``j // (Hq / H)``."""
    batch, query_heads, tokens, _ = queries.shape
    share = query_heads // memory.matrix.shape[1]
    rows = [
        read(
            rule,
            memory.matrix[b, j // share],
            None if memory.norm is None else memory.norm[b, j // share],
            queries[b, j, t],
        )
        for b in range(batch)
        for j in range(query_heads)
        for t in range(tokens)
    ]
    if not rows:
        return memory.matrix.new_zeros(batch, query_heads, 0, memory.matrix.shape[-1])
    return torch.stack(rows).reshape(batch, query_heads, tokens, -1)


def convex(gate_bias: Tensor, held: Tensor, local: Tensor) -> Tensor:
    """The paper's gate: sigmoid(beta) A_mem + (1 - sigmoid(beta)) A_dot."""
    share = 1 / (1 + torch.exp(-gate_bias))
    return share * held + (1 - share) * local


def residual(logit: Tensor, held: Tensor, local: Tensor) -> Tensor:
    """Local attention, and a share of what the memory held."""
    return local + held / (1 + torch.exp(-logit))


def ngram(signs: Tensor, end: int, length: int) -> Tensor:
    """The n-gram of so many tokens that ends at a place, from its tokens' signs ``[T, D]``; nothing if it begins before them.

    A part is the product of the tokens' signs, each token's taken as many parts further back as it stands back.
    """
    size = signs.shape[1]
    if end + 1 < length:
        return torch.zeros(size)
    parts = []
    for i in range(size):
        part = 1.0
        for back in range(length):
            part *= float(signs[end - back, (i - back) % size])
        parts.append(part / math.sqrt(size))
    return torch.tensor(parts)


def gated_state(signs: Tensor, logits: Tensor) -> list[Tensor]:
    """What a gated state holds before the first token and after each, from the tokens' signs (or values) ``[T, D]`` and its
    gate's logits."""
    held = [torch.zeros(signs.shape[1])]
    for taken, logit in zip(signs, logits, strict=True):
        share = 1 / (1 + torch.exp(-logit))
        held.append((1 - share) * held[-1] + share * taken)
    return held


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of one head's vector: halves are the two coordinates of each plane."""
    half = len(x) // 2
    first, second = x[:half], x[half:]
    return torch.cat([first * cos[:half] - second * sin[:half], second * cos[half:] + first * sin[half:]])


class AttentionLayer:
    """One attention layer with its memory over a whole text, a token after the other.

    Args:
        weights: of the layer: ``q``, ``k``, ``v`` (``[out, in]``, no bias) and the memory path's parameters by name.
        config: of the memory path.
        cos, sin: ``[segment_length, D]``, rotary tables.
        heads, kv_heads: how many of each.
        signs: ``[T, kv_heads, D]``, of the tokens, if the path sees n-grams or has a gated key state.
        index: of the layer.
    """

    def __init__(
        self,
        weights: dict[str, Tensor],
        config: InfiniConfig,
        cos: Tensor,
        sin: Tensor,
        heads: int,
        kv_heads: int,
        signs: Tensor | None = None,
        index: int = 0,
    ) -> None:
        self.weights, self.config, self.cos, self.sin, self.index = weights, config, cos, sin, index
        self.heads, self.kv_heads, self.share, self.size = heads, kv_heads, heads // kv_heads, cos.shape[-1]
        self.signs = signs
        parts = torch.split(weights["down"], config.rank, 1)
        self.down = dict(zip(("query", "key", "value", "shift"), parts, strict=False))

    def __call__(self, hidden: Tensor) -> Tensor:
        """What goes into the output projection, ``[T, heads, D]``, for ``[T, C]``, what the layer's projections see."""
        self.matrices = [hidden.new_zeros(self.size, self.size) for _ in range(self.kv_heads)]
        self.norms = [hidden.new_zeros(self.size) for _ in range(self.kv_heads)]
        outputs = []
        for start in range(0, len(hidden), self.config.segment_length):
            self.open(start, hidden[start : start + self.config.segment_length])
            for t in range(len(self.segment)):
                outputs.append(torch.stack([self.output(t, j) for j in range(self.heads)]))
            for g in range(self.kv_heads):
                self.write(g)
        return torch.stack(outputs)

    def open(self, start: int, segment: Tensor) -> None:
        """Begins a segment: its plain projections, and what its gated key states hold after each token."""
        self.start, self.segment = start, segment
        self.plain = {
            name: (segment @ self.weights[name].T).reshape(len(segment), -1, self.size) for name in ("q", "k", "v")
        }
        self.key_states: list[list[Tensor]] = []
        if self.index in self.config.key_state_layers:
            assert self.signs is not None
            logits = segment @ self.weights["key_state_weight"] + self.weights["key_state_bias"]
            seen = self.signs[start : start + len(segment)]
            self.key_states = [gated_state(seen[:, g], logits[:, g]) for g in range(self.kv_heads)]

    def output(self, t: int, j: int) -> Tensor:
        """What one query head puts out for one token of the segment."""
        g, w, h = j // self.share, self.weights, self.segment[t]
        query = rotate(self.plain["q"][t, j], self.cos[t], self.sin[t])
        keys = [rotate(self.plain["k"][s, g], self.cos[s], self.sin[s]) for s in range(t + 1)]
        scores = torch.stack([query @ key / math.sqrt(self.size) for key in keys])
        attended = scores.softmax(0) @ self.plain["v"][: t + 1, g]
        if self.start == 0:
            return attended
        asked = (w["q"] @ h + h @ self.down["query"] @ w["query_up"]).reshape(self.heads, self.size)[j]
        # A query sees the n-gram and the gated state that end with its own token; a key those before its own.
        asked = self.bound(asked, g, self.start + t, t + 1)
        held = read(self.config.update_rule, self.matrices[g], self.norms[g], asked)
        if self.config.gate == "convex":
            return convex(w["gate_bias"][j], held, attended)
        return residual(h @ w["gate_weight"][:, j] + w["gate_bias"][j], held, attended)

    def bound(self, vector: Tensor, g: int, end: int, state: int) -> Tensor:
        """A key or query with the n-gram that ends at a place of the text, and with what a gated key state holds."""
        if self.config.ngrams or self.key_states:
            vector = unit(vector)
        if self.config.ngrams:
            assert self.signs is not None
            length = self.config.ngrams[(self.index + g) % len(self.config.ngrams)]
            vector = vector + self.weights["ngram_scale"][g] * ngram(self.signs[:, g], end, length)
        if self.key_states:
            vector = vector + self.weights["key_state_scale"][g] * unit(self.key_states[g][state])
        return vector

    def write(self, g: int) -> None:
        """Writes the segment into one head's memory."""
        w, segment, span = self.weights, self.segment, slice(g * self.size, (g + 1) * self.size)
        keys, values = [], []
        for t, h in enumerate(segment):
            key = self.plain["k"][t, g] + h @ self.down["key"] @ w["key_up"][:, span]
            if self.config.key_shift and t > 0:
                key = key + segment[t - 1] @ self.down["shift"] @ w["shift_up"][:, span]
            keys.append(self.bound(key, g, self.start + t - 1, t))
            values.append(self.plain["v"][t, g] + h @ self.down["value"] @ w["value_up"][:, span])
        if self.index in self.config.value_state_layers:
            logits = segment @ w["value_state_weight"][:, g] + w["value_state_bias"][g]
            earlier = gated_state(torch.stack(values), logits)[:-1]
            values = [v + w["value_state_scale"][g] * r for v, r in zip(values, earlier, strict=True)]
        if self.config.update_rule == "deltanet":
            beta = torch.sigmoid(segment @ w["beta_weight"][:, g] + w["beta_bias"][g])
            decay = torch.sigmoid(segment @ w["g_weight"][:, g] + w["g_bias"][g]).log()
            self.matrices[g] = write_deltanet(self.matrices[g], torch.stack(keys), torch.stack(values), beta, decay)
        else:
            step = write_linear if self.config.update_rule == "linear" else write_delta
            self.matrices[g], self.norms[g] = step(
                self.matrices[g], self.norms[g], torch.stack(keys), torch.stack(values)
            )


def look_up(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    plain_query: Tensor,
    old_keys: Tensor,
    old_values: Tensor,
    top: int,
    scaling: float,
) -> Tensor:
    """Attention of one head over its segment so far and, in the same softmax, over each query's nearest older keys."""
    before, outputs = len(key) - len(query), []
    for t, (own, plain) in enumerate(zip(query, plain_query, strict=True)):
        near = [(float(own @ key[s]) * scaling, value[s]) for s in range(before + t + 1)]
        far = [(float(plain @ old) * scaling, old_values[s]) for s, old in enumerate(old_keys)]
        chosen = near + sorted(far, key=lambda pair: -pair[0])[:top]
        weights = torch.tensor([score for score, _ in chosen]).double().exp()
        outputs.append(sum(w / weights.sum() * v for w, (_, v) in zip(weights, chosen, strict=True)))
    return torch.stack([torch.as_tensor(output) for output in outputs])


def fullness(matrix: Tensor) -> float:
    """Participation ratio of the energies of one memory's singular values, over how many there could be."""
    energies = [float(value) ** 2 for value in torch.linalg.svdvals(matrix.double())]
    if not any(energies):
        return 0.0
    return sum(energies) ** 2 / sum(energy**2 for energy in energies) / len(energies)


def eight_bit_product(weight: Tensor, token: Tensor, group: int) -> Tensor:
    """``[N, K]`` weights times one token, ``[K]``: for each input, the weights of ``group`` outputs lie on 256 even steps."""
    found = torch.zeros(len(weight))
    for first in range(0, len(weight), group):
        for k, one in enumerate(token):
            own = weight[first : first + group, k]
            step = (own.max() - own.min()) / 255
            steps = ((own - own.min()) / step).round() if step > 0 else torch.zeros_like(own)
            found[first : first + group] += one * (own.min() + steps * step)
    return found
