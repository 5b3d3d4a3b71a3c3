"""The configuration of the memory path: validated, immutable, hashable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

UpdateRule = Literal["linear", "delta", "deltanet"]
Gate = Literal["convex", "residual"]


@dataclasses.dataclass(frozen=True, slots=True)
class InfiniConfig:
    """What a memory path is made of.

    Attributes:
        segment_length: tokens in a segment; local attention never looks past it.
        update_rule: ``linear`` and ``delta`` are the paper's; ``deltanet`` is the token-wise gated delta rule.
        gate: ``convex`` is the paper's scalar a head; ``residual`` adds a gated read to local attention.
        layers: decoder layers that carry a memory, in ascending order; ``None`` is every layer.
        rank: rank of the change that the memory path makes to the base's queries, keys and values.
        key_shift: whether a token's memory key also sees the token before it in its segment.
        ngrams: lengths of the n-grams that keys and queries see beside hidden states, assigned to the KV heads of a layer in
            turn, from layer to layer one on (``deltanet`` only, see ``ngrams``); none by default.
        key_state_layers: decoder layers whose keys and queries also see a gated key state, the last token that mattered
            (``deltanet`` only, see ``gated_state``), in ascending order; those that carry no memory have none. None by default.
        value_state_layers: likewise, layers whose tokens also write what a gated value state holds.
        gate_bias: initial gate bias (before the sigmoid).
        decay_tokens: tokens after which an untrained memory has decayed to 1/e, assigned to the KV heads of a
            layer in turn (``deltanet`` only); ``inf`` is a memory that does not decay.
        reread_first: whether a text's first segment is read again when it closes, with what it wrote in memory.
            What a segment writes depends on what it reads, and the first one reads nothing.
    """

    segment_length: int = 1024
    update_rule: UpdateRule = "deltanet"
    gate: Gate = "residual"
    layers: tuple[int, ...] | None = None
    rank: int = 16
    key_shift: bool = True
    ngrams: tuple[int, ...] = ()
    key_state_layers: tuple[int, ...] = ()
    value_state_layers: tuple[int, ...] = ()
    gate_bias: float = -3.0
    decay_tokens: tuple[float, ...] = (1500.0, 20_000.0, float("inf"))
    reread_first: bool = False

    def __post_init__(self) -> None:
        if self.segment_length < 1:
            raise ValueError(f"segment_length must be at least 1, not {self.segment_length}")
        if self.update_rule not in get_args(UpdateRule):
            raise ValueError(f"update_rule must be one of {get_args(UpdateRule)}, not {self.update_rule!r}")
        if self.gate not in get_args(Gate):
            raise ValueError(f"gate must be one of {get_args(Gate)}, not {self.gate!r}")
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, not {self.rank}")
        if self.ngrams and (min(self.ngrams) < 1 or self.update_rule != "deltanet"):
            raise ValueError(f"ngrams must be positive lengths, and go with deltanet, not {self.ngrams}")
        if (self.key_state_layers or self.value_state_layers) and self.update_rule != "deltanet":
            raise ValueError(f"key_state_layers and value_state_layers go with deltanet, not with {self.update_rule}")
        if not self.decay_tokens or any(not tokens > 0 for tokens in self.decay_tokens):
            raise ValueError(f"decay_tokens must be positive numbers of tokens, not {self.decay_tokens}")
        if self.layers is not None and not self.layers:
            raise ValueError("layers must name at least one")
        for name in ("layers", "key_state_layers", "value_state_layers"):
            chosen = getattr(self, name) or ()
            if list(chosen) != sorted(set(chosen)) or min(chosen, default=0) < 0:
                raise ValueError(f"{name} must be distinct, ascending and not negative, not {chosen}")

    def with_rule(self, rule: UpdateRule) -> InfiniConfig:
        """The same path under another update rule; the paper's rules come with the paper's gate."""
        if rule == self.update_rule:
            return self
        if rule == "deltanet":
            return dataclasses.replace(self, update_rule=rule, gate="residual")
        return dataclasses.replace(
            self, update_rule=rule, gate="convex", ngrams=(), key_state_layers=(), value_state_layers=()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON and TOML values; ``from_dict`` reads them back."""
        values = dataclasses.asdict(self)
        values["layers"] = None if self.layers is None else list(self.layers)
        values["ngrams"] = list(self.ngrams)
        values["key_state_layers"] = list(self.key_state_layers)
        values["value_state_layers"] = list(self.value_state_layers)
        # -3 and -3.0 are one configuration, so they must have one digest.
        values["gate_bias"] = float(self.gate_bias)
        values["decay_tokens"] = [float(tokens) for tokens in self.decay_tokens]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InfiniConfig:
        """Reads what ``to_dict`` wrote.

        Raises:
            ValueError: a key is unknown or a value out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown configuration keys: {', '.join(unknown)}")
        plain = dict(values)
        if plain.get("layers") is not None:
            plain["layers"] = tuple(plain["layers"])
        for name in {"ngrams", "key_state_layers", "value_state_layers"} & set(plain):
            plain[name] = tuple(plain[name])
        if "decay_tokens" in plain:
            plain["decay_tokens"] = tuple(float(tokens) for tokens in plain["decay_tokens"])
        return cls(**plain)

    def digest(self) -> str:
        """SHA-256 (hex) over the canonical JSON of all fields."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()
