"""From a model's name to an engine and its tokenizer."""

from __future__ import annotations

import dataclasses
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelUnavailable
from ..memory.config import InfiniConfig, UpdateRule
from ..memory.engine import Engine
from ..memory.inject import inject, injection
from ..memory.parameters import copy_weights, memory_parameters
from ..memory.stand_ins import use_stand_ins
from ..memory.state import Origin, fingerprint
from .chat import turn_parts
from .device import DTYPES, Placement, choose, choose_weights
from .fetch import Progress, ignore
from .integrity import check
from .recipe import DEFAULT, OWN, Recipe, find
from .weights import fingerprint_base, local_path, pull

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to read.

    Attributes:
        model: the base with its memory path.
        tokenizer: its transformers tokenizer.
        recipe: where it came from.
        placement: where it runs, and why.
        origin: what its states are marked with.
        memory: whether it has a memory; one that has none answers from what is in view.
        weights: what single tokens of an answer are multiplied with, ``float32`` or ``int8``; ``None``: what it has.
    """

    model: PreTrainedModel
    tokenizer: Any
    recipe: Recipe
    placement: Placement
    origin: Origin
    memory: bool = True
    weights: str | None = None

    @property
    def config(self) -> InfiniConfig:
        """Configuration of the memory path."""
        record = injection(self.model)
        assert record is not None
        return record.config

    def engine(self, *, use_memory: bool | None = None) -> Engine:
        """A new engine that has read nothing; engines of one model share its weights.

        Args:
            use_memory: whether it remembers closed segments; if the model has a memory, by default.
        """
        return Engine(self.model, use_memory=self.memory if use_memory is None else use_memory)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, which nobody need trust: a document, a question, an instruction. No ids are added.

        The name of an added token, such as an end of turn, never becomes that token. A document that happens to contain one,
        or was made to, opens no turn of a chat.
        """
        return [token for part in _apart(text, self._added_names()) for token in self._ids(part, special=False)]

    def marks(self, text: str) -> list[int]:
        """Token ids of a part of the chat template, whose added tokens are meant (see ``chat``)."""
        return self._ids(text, special=True)

    def turn(self, instruction: str) -> list[int]:
        """Token ids of an instruction in the chat template, up to where its answer begins.

        Args:
            instruction: what to do, with the texts that it is about; nobody need trust any of it.
        """
        before, after = turn_parts(self.tokenizer)
        if not before:
            return self.encode(instruction + after)
        return [*self.marks(before), *self.encode(instruction), *self.marks(after)]

    def _ids(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=not special, verbose=False
        )["input_ids"]
        return ids

    def _added_names(self) -> frozenset[str]:
        """Names of all added tokens. A tokenizer splits those that it calls special; there are others."""
        names = map(str, self.tokenizer.added_tokens_decoder.values())
        # Runs of white space are text, which some bases were trained to read as one token.
        return frozenset(name for name in names if name.replace("\u2581", " ").strip())


_readers: weakref.WeakKeyDictionary[PreTrainedModel, Loaded] = weakref.WeakKeyDictionary()


def _apart(text: str, names: frozenset[str]) -> list[str]:
    """A text cut inside every name that occurs in it; most texts stay whole."""
    found = sorted((name for name in names if len(name) > 1 and name in text), key=len, reverse=True)
    if not found:
        return [text]
    pattern = re.compile("|".join(map(re.escape, found)))
    parts, start = [], 0
    for match in pattern.finditer(text):
        parts.append(text[start : match.start() + 1])
        start = match.start() + 1
    return [part for part in (*parts, text[start:]) if part]


def load_model(
    model: str = DEFAULT,
    *,
    device: str = "auto",
    dtype: str = "auto",
    config: InfiniConfig | None = None,
    rule: UpdateRule | None = None,
    untrained: bool = False,
    weights: str = "auto",
    reader: str | None = None,
    fetch: bool = True,
    notify: Callable[[str], None] = lambda text: None,
    progress: Progress = ignore,
) -> Loaded:
    """Loads a base, puts its memory path in, and the adapter into that.

    Processors flush denormal numbers to zero from then on in this process.

    Args:
        model: a recipe's name, a folder, or a hub id (see ``recipes.find``).
        device, dtype: see ``device.choose``.
        config: another memory path than the recipe's, with as much of its adapter as that has a use for.
        rule: another update rule than the recipe's, likewise.
        untrained: leave the adapter out.
        weights: see ``device.choose_weights``. Whatever is chosen, texts are read with the weights as they are.
        reader: another model to answer from passages than the recipe names (see ``Recipe.read_by``); see ``load_reader``.
        fetch: whether weights that are not there may be fetched.
        notify: told what is going on.
        progress: told how many bytes of weights have come, and of how many.

    Raises:
        ModelUnavailable: the model is unknown, cannot be fetched, or cannot carry a memory path.
        DeviceUnavailable: the device is not there.
    """
    # First what costs nothing, so that a mistake is told before anything is fetched.
    recipe = find(model) if reader is None else find(model).read_by(reader)
    placement = choose(device, dtype)
    decoding = choose_weights(weights, placement)
    path = pull(recipe.base, notify, progress) if fetch else local_path(recipe.base)
    if path is None:
        raise ModelUnavailable(f"the weights of {recipe.name} are not here", f"run: infini models pull {recipe.name}")
    if not fetch:
        check(path)
    base, tokenizer = _loaded(path, placement)
    base_fingerprint = fingerprint_base(base)
    chosen = recipe.config if config is None else config
    memory = recipe.memory or config is not None
    if not memory:
        # Its one segment is what it has in view.
        room = getattr(base.config.get_text_config(), "max_position_embeddings", None) or recipe.answers.view_tokens
        chosen = dataclasses.replace(chosen, segment_length=min(recipe.answers.view_tokens, room))
    if rule is not None:
        chosen = chosen.with_rule(rule)
    _put_in(base, recipe, chosen, untrained)
    path_fingerprint = fingerprint(dict(memory_parameters(base)))
    formerly = recipe.former_names(path_fingerprint, chosen)
    origin = Origin(recipe.address, base_fingerprint, path_fingerprint, chosen.digest(), formerly)
    if decoding is not None:
        use_stand_ins(base, decoding)
    return Loaded(base, tokenizer, recipe, placement, origin, memory, decoding)


def load_reader(
    loaded: Loaded,
    *,
    fetch: bool = True,
    notify: Callable[[str], None] = lambda text: None,
    progress: Progress = ignore,
) -> Loaded | None:
    """The model that answers from passages in the place of another; ``None`` where that one does so itself.

    It is loaded once, and stays as long as the other one does.

    Args:
        loaded: the other one; both run in the same place.
        fetch, notify, progress: see ``load_model``.

    Raises:
        ModelUnavailable: it cannot be had.
    """
    name = loaded.recipe.answers.read_by
    if name is None:
        return None
    if loaded.model not in _readers:
        try:
            _readers[loaded.model] = load_model(
                name,
                device=str(loaded.placement.device),
                dtype=next(name for name, dtype in DTYPES.items() if dtype is loaded.placement.dtype),
                weights=loaded.weights or "auto",
                fetch=fetch,
                notify=notify,
                progress=progress,
            )
        except ModelUnavailable as error:
            hint = f"{error.hint}; or leave it out, with --reader {OWN}, for answers that are worse"
            raise ModelUnavailable(error.message, hint) from error
    return _readers[loaded.model]


def _put_in(base: PreTrainedModel, recipe: Recipe, config: InfiniConfig, untrained: bool) -> None:
    """Puts a memory path into a base, and as much of the recipe's adapter into that as it has a use for."""
    try:
        inject(base, config)
        adapter = None if untrained else recipe.adapter()
        if adapter is not None:
            if config != recipe.config:
                own = {name: parameter.detach() for name, parameter in memory_parameters(base).items()}
                adapter = {name: adapter.get(name, tensor) for name, tensor in own.items()}
            copy_weights(adapter, memory_parameters(base), "the adapter")
    except ValueError as error:
        raise ModelUnavailable(
            f"{recipe.name} cannot carry this memory path: {getattr(error, 'message', error)}",
            "use another model, or adapt this one anew",
        ) from error


def _loaded(path: Path, placement: Placement) -> tuple[PreTrainedModel, Any]:
    """The base in a folder, on its device, and its tokenizer."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    # What has faded from a memory ends in denormal numbers, with which a processor is ten times slower. Set before the
    # first work in parallel: threads take it over from the one that starts them.
    torch.set_flush_denormal(True)
    try:
        base = AutoModelForCausalLM.from_pretrained(path, dtype=placement.dtype).eval()
        base.to(device=placement.device)
        return base, AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailable(
            f"the model in {path} cannot be loaded: {str(error).splitlines()[0]}",
            "it must be a decoder-only language model in transformers' format with its tokenizer",
        ) from error
