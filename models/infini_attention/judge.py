"""A judge of passages: tells the one that answers a question from others that share its words.

The base reads a passage and then the question, as far as its first layers, with low-rank changes that are in force only
meanwhile (LoRA, arXiv 2106.09685). The mean of the question's hidden states, along a learned direction, is how much the
passage tells. How likely the question becomes after a passage tells that too (see ``evidence``), but less well.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedModel

from .errors import ModelUnavailable
from .inject import copy_weights, memory_off
from .recipes import file_in

WEIGHTS = "judge.safetensors"
LAYERS = 18
RANK = 8
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# What a low-rank change is multiplied with.
SCALE = 2.0


class PassageJudge(nn.Module):
    """Judges with a model whose own weights stay as they are.

    Args:
        model: a decoder; a memory path in it is not used.
        layers: how many of its layers are run.
        rank: of the changes, in each of their projections.
        seed: draws what is not zero in the beginning. A new judge finds all passages equal.

    Attributes:
        direction: ``[C]``, float32.
        words: what a point of a search by words weighs beside the judgement.
    """

    def __init__(self, model: PreTrainedModel, layers: int = LAYERS, rank: int = RANK, seed: int = 0) -> None:
        super().__init__()
        decoder = cast(Any, model.get_decoder())
        # Not a submodule: what is trained are the changes.
        self._model = [model]
        self.layers = min(layers, len(decoder.layers))
        self._linears: dict[str, nn.Linear] = {}
        self.changes = nn.ParameterDict()
        generator = torch.Generator().manual_seed(seed)
        for index, layer in enumerate(decoder.layers[: self.layers]):
            for name, module in layer.named_modules():
                projection = name.rsplit(".", 1)[-1]
                if projection in PROJECTIONS:
                    linear = cast(nn.Linear, module)
                    place = f"{index}-{projection}"
                    self._linears[place] = linear
                    noise = torch.randn(linear.in_features, rank, generator=generator) / math.sqrt(linear.in_features)
                    device = linear.weight.device
                    self.changes[f"{place}-down"] = nn.Parameter(noise.to(device))
                    self.changes[f"{place}-up"] = nn.Parameter(torch.zeros(rank, linear.out_features, device=device))
        device = model.device
        self.direction = nn.Parameter(torch.zeros(cast(int, decoder.config.hidden_size), device=device))
        self.words = nn.Parameter(torch.tensor(0.3, device=device))

    @property
    def model(self) -> PreTrainedModel:
        """The model that it judges with."""
        return self._model[0]

    def forward(self, passages: Sequence[Sequence[int]], questions: Sequence[Sequence[int]]) -> Tensor:
        """How much each passage tells for each question.

        Args:
            passages: token ids each, at least one.
            questions: token ids each, at least two.

        Returns:
            ``[len(questions), len(passages)]``, float32.
        """
        decoder, device = cast(Any, self.model.get_decoder()), self.model.device
        # Padded on the left, so that a question stands right behind each passage.
        read = _padded(passages, "left").to(device)
        lengths = torch.tensor([len(passage) for passage in passages], device=device)
        shown = torch.arange(read.shape[1], device=device) >= read.shape[1] - lengths[:, None]
        # Behind its end a question may go on with anything: nothing before looks at it.
        asked = _padded(questions, "right").to(device)
        ends = torch.tensor([len(question) for question in questions], device=device)
        places = torch.arange(asked.shape[1], device=device)
        count = len(questions)
        with self._in_force():
            # A passage is read once for all questions.
            cache = DynamicCache()
            decoder(
                input_ids=read,
                attention_mask=shown.long(),
                position_ids=(shown.cumsum(1) - 1).clamp(min=0),
                past_key_values=cache,
                use_cache=True,
            )
            cache.batch_repeat_interleave(count)
            seen = torch.cat([shown, shown.new_ones(len(passages), asked.shape[1])], 1)
            hidden = decoder(
                input_ids=asked.repeat(len(passages), 1),
                attention_mask=seen.long().repeat_interleave(count, 0),
                position_ids=(lengths[:, None] + places).repeat_interleave(count, 0),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state.float()
        # The first token has seen nothing of the question.
        counted = (places > 0) & (places < ends[:, None])
        means = (hidden.unflatten(0, (-1, count)) * counted[..., None]).sum(2) / counted.sum(1)[:, None]
        scores: Tensor = means @ self.direction
        return scores.T

    @contextlib.contextmanager
    def _in_force(self) -> Iterator[None]:
        decoder = cast(Any, self.model.get_decoder())
        every = decoder.layers
        handles = [linear.register_forward_hook(self._change(place)) for place, linear in self._linears.items()]
        decoder.layers = every[: self.layers]
        try:
            with memory_off(self.model):
                yield
        finally:
            decoder.layers = every
            for handle in handles:
                handle.remove()

    def _change(self, place: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        # Once for all passages.
        dtype = self.model.dtype
        down, up = self.changes[f"{place}-down"].to(dtype), (SCALE * self.changes[f"{place}-up"]).to(dtype)

        def changed(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            change: Tensor = (inputs[0] @ down) @ up
            return output + change

        return changed

    def weights(self) -> dict[str, nn.Parameter]:
        """Everything that is trained, by name."""
        return dict(self.named_parameters())


def _padded(rows: Sequence[Sequence[int]], side: str) -> Tensor:
    return pad_sequence([torch.tensor(list(row)) for row in rows], batch_first=True, padding_side=side)


def judge_file(folder: Path | None) -> Path | None:
    """The judge in a recipe's folder, if there is one."""
    return file_in(folder, WEIGHTS)


def load_judge(model: PreTrainedModel, folder: Path | None) -> PassageJudge | None:
    """The judge in a recipe's folder; ``None`` where there is none.

    Args:
        model: the base that it was trained with.
        folder: the recipe's.

    Raises:
        ModelUnavailable: it belongs to another base.
    """
    file = judge_file(folder)
    if file is None:
        return None
    tensors: Mapping[str, Tensor] = load_file(file)
    places = [name.removeprefix("changes.").split("-") for name in tensors if name.endswith("-down")]
    rank = next((tensor.shape[1] for name, tensor in tensors.items() if name.endswith("-down")), RANK)
    judge = PassageJudge(model, 1 + max((int(place[0]) for place in places), default=0), rank)
    try:
        copy_weights(tensors, judge.weights(), "the file")
    except ValueError as error:
        raise ModelUnavailable(f"{file} cannot be used: {error}", "train a judge for this base") from error
    return judge.requires_grad_(False)
