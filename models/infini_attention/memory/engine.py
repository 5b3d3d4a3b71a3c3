"""The engine: reads token ids segment by segment, and continues them. It knows nothing of text.

Reading runs whole segments only; what does not fill one waits, as ids, in the open segment. So a state does not depend
on how a text was split into calls: the same tokens give the same bits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import Cache, LogitsProcessorList, PreTrainedModel

from ..errors import StateError, UseError
from .adapting import Switchable, put_in_force
from .cache import InfiniCache, shared_copy
from .config import InfiniConfig
from .decoding import decode, room_for_answer
from .inject import memory_off, new_cache, require_injection
from .parameters import memory_paths
from .rules import Memory
from .segment_graph import read_segment
from .stand_ins import standing_in
from .state import MemoryState, Origin
from .state_tensors import BEHIND, OPEN_IDS, check_fit
from .token_ids import token_ids

# Tokens of an answer that are decoded with the weights as they are: many answers are over before others would have been made,
# and an answer does not depend on whether they are there already.
IN_FULL = 8


class Engine:
    """A model with a memory path, and what it has read.

    Args:
        model: a language model with a memory path (see ``inject``), on its device, in evaluation mode.
        use_memory: ``False`` reads and answers from the open segment alone, for comparison.

    Attributes:
        adapter: in force while it answers, such as a reader.
    """

    def __init__(self, model: PreTrainedModel, *, use_memory: bool = True) -> None:
        record = require_injection(model)
        self.model, self.lock = model, record.lock
        self.config: InfiniConfig = record.config
        self.use_memory = use_memory
        self.adapter: Switchable | None = None
        self.reset()

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        return cast(Tensor, self.model.get_input_embeddings().weight).device

    @property
    def tokens_read(self) -> int:
        """Tokens read so far, the open segment's included."""
        return self.cache.tokens + len(self.open_ids)

    def reset(self) -> None:
        """Forgets everything."""
        self.cache: InfiniCache = new_cache(self.model)
        self.open_ids: list[int] = []

    def read(self, ids: Sequence[int] | Tensor, on_segment: Callable[[int], None] | None = None) -> None:
        """Reads tokens into memory.

        Args:
            ids: token ids, any number of them.
            on_segment: called after each closed segment with the number of its tokens. What it raises ends the reading;
                what was closed before stays read, and what was not waits in the open segment.

        Raises:
            UseError: these are no token ids of one text.
        """
        self.open_ids += self._ids(ids)
        length = self.config.segment_length
        start = 0
        try:
            while len(self.open_ids) - start >= length:
                self._write(torch.tensor([self.open_ids[start : start + length]]))
                start += length
                if on_segment is not None:
                    on_segment(length)
        finally:
            del self.open_ids[:start]

    def _ids(self, ids: Sequence[int] | Tensor) -> list[int]:
        return token_ids(ids, cast(torch.nn.Embedding, self.model.get_input_embeddings()).num_embeddings)

    def read_each(self, documents: Sequence[Tensor]) -> list[Engine]:
        """Engines that have each read one of several documents after what was read; this one stays as it is.

        Whole segments that all documents have are read side by side, as one batch, which takes an accelerator hardly
        longer than one document.

        Args:
            documents: ``[n]`` token ids each, at least one document.
        """
        waiting = torch.tensor(self.open_ids, dtype=torch.long)
        texts = [torch.cat([waiting, torch.tensor(self._ids(one), dtype=torch.long)]) for one in documents]
        length = self.config.segment_length
        shared = min(map(len, texts)) // length * length
        together = self.fork()
        together.cache.batch_repeat_interleave(len(texts))
        rows = torch.stack([text[:shared] for text in texts])
        for start in range(0, shared, length):
            together._write(rows[:, start : start + length])
        engines = []
        for row, text in enumerate(texts):
            engine = together.fork()
            engine.cache.reorder_cache(cast(torch.LongTensor, torch.tensor([row])))
            engine.open_ids = []
            engine.read(text[shared:])
            engines.append(engine)
        return engines

    def fork(self) -> Engine:
        """An engine that has read the same and goes on by itself."""
        other = Engine(self.model, use_memory=self.use_memory)
        other.cache, other.open_ids, other.adapter = self.cache.fork(), list(self.open_ids), self.adapter
        return other

    @torch.inference_mode()
    def generate(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        *,
        stop: Collection[int] = (),
        processors: LogitsProcessorList | None = None,
        choose: Callable[[Tensor], int] | None = None,
    ) -> Iterator[int]:
        """Continues what was read, followed by a prompt. What was read stays as it is.

        The prompt stands in the open segment, with the tokens that wait there in view. Where the prompt and the answer
        would not fit into it any more, the open segment is closed first (in a copy), so that neither is torn apart.
        Without a prompt the open segment itself is continued, over its border where the answer needs it.

        Args:
            prompt: token ids, at least one unless tokens wait in the open segment.
            max_new_tokens: the most tokens to give.
            stop: ids that end the answer; they are not given.
            processors: transformers' logits processors; they see the prompt and the answer.
            choose: picks a token from ``[vocabulary]`` logits; the likeliest by default.

        Yields:
            Token ids, each as soon as it is known.
        """
        if max_new_tokens < 1:
            return
        prompt = self._ids(prompt)
        view, cache = self._before_answer(prompt, max_new_tokens)

        given = 0

        def logits_of(ids: list[int]) -> Tensor:
            nonlocal cache, given
            logits, cache = self._answering(ids, cache, 1, single=given > IN_FULL)
            given += 1
            return logits[:, -1]

        try:
            yield from decode(
                logits_of, view, len(prompt), max_new_tokens, stop=stop, processors=processors, choose=choose
            )
        finally:
            self._set_apart()

    @torch.inference_mode()
    def likelihoods(
        self, prompt: Sequence[int], options: Sequence[Sequence[int]], *, stop: Collection[int] = ()
    ) -> list[float]:
        """How likely each of several answers is after what was read, followed by a prompt. What was read stays as it is.

        Args:
            prompt: as for ``generate``.
            options: token ids of each answer, at least one.
            stop: ids that end an answer; that it ends counts too, as one token.

        Returns:
            The mean log-likelihood of a token, nats, of each answer.
        """
        options = [self._ids(option) for option in options]
        view, cache = self._before_answer(self._ids(prompt), max(map(len, options)))
        first, cache = self._answering(view, cache, 1)
        found = []
        for option in options:
            # Each goes on from the prompt by itself.
            rest, _ = self._answering(list(option), shared_copy(cache), len(option))
            logprobs = torch.cat([first, rest], 1)[0].float().log_softmax(-1)
            nats = [float(logprobs[place, token]) for place, token in enumerate(option)]
            if stop:
                nats.append(float(logprobs[-1, list(stop)].logsumexp(0)))
            found.append(sum(nats) / len(nats))
        self._set_apart()
        return found

    def _before_answer(self, prompt: Sequence[int], most: int) -> tuple[list[int], Cache | None]:
        """Ids that an answer of at most so many tokens follows, and what stands behind them."""
        other = self.fork()
        # Without a prompt there would be nothing left to go on from.
        if prompt and not room_for_answer(len(other.open_ids), len(prompt), most, self.config.segment_length):
            other.close()
        view = other.open_ids + list(prompt)
        if not view:
            raise UseError(
                "there is nothing to continue: the prompt is empty and so is the open segment",
                "give a prompt of at least one token",
            )
        return view, other.cache if self.use_memory else None

    def _answering(
        self, ids: list[int], cache: Cache | None, logits: int, *, single: bool = False
    ) -> tuple[Tensor, Cache]:
        """Logits of the last ids, ``[1, logits, V]``, with all in force that is to be in answers.

        Args:
            single: whether weights in 8 bits may do for a single token.
        """
        with self.lock, contextlib.nullcontext() if self.use_memory else memory_off(self.model):
            put_in_force(self.model, self.adapter)
            with standing_in(self.model, single=single):
                outputs = self.model(
                    input_ids=torch.tensor([ids], device=self.device),
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=logits,
                )
        return outputs.logits, outputs.past_key_values

    def _set_apart(self) -> None:
        """Leaves the model without an adapter: another engine may be next."""
        with self.lock:
            put_in_force(self.model, None)

    @torch.inference_mode()
    def step(self, ids: Tensor) -> Tensor:
        """Reads one segment, and says what the decoder made of it.

        Args:
            ids: ``[1, T]`` token ids; no more than a segment has, and none may wait in the open one.

        Returns:
            ``[1, T, C]``, the last hidden states.
        """
        if self.open_ids:
            raise UseError(
                "tokens wait in the open segment; a step reads a segment from its beginning",
                "close the open segment first: engine.close()",
            )
        ids = ids.to(self.device)
        with self.lock:
            put_in_force(self.model, None)
            if self.use_memory:
                return read_segment(self.model, self.cache, ids)
            with memory_off(self.model):
                outputs = self.model.get_decoder()(input_ids=ids, past_key_values=None)
        self._count(ids.shape[1])
        return cast(Tensor, outputs.last_hidden_state)

    @torch.inference_mode()
    def _write(self, ids: Tensor) -> None:
        """Reads segments side by side, ``[B, T]``, and closes them."""
        if self.use_memory:
            ids = ids.to(self.device)
            self._close(ids)
            # A full segment was read again already, when it closed.
            if (again := self.cache.begin_again()) is not None:
                self._close(again)
        else:
            # Nothing of a closed segment is used without memory.
            self._count(ids.shape[1])

    def _close(self, ids: Tensor) -> None:
        """Reads a segment, and closes it though it may not be full."""
        with self.lock:
            put_in_force(self.model, None)
            read_segment(self.model, self.cache, ids)
            self.cache.close_segment()

    def _count(self, tokens: int, segments: int = 1) -> None:
        self.cache.tokens += tokens
        self.cache.segments += segments

    @property
    def state_bytes(self) -> int:
        """Bytes of the memories."""
        packs = (layer.memory for layer in self.cache.memories.values() if layer.memory is not None)
        return sum(tensor.nbytes for pack in packs for tensor in pack if tensor is not None)

    def reading_again(self, passages: Iterable[Sequence[int]]) -> Engine:
        """An engine with nothing in its open segment but these passages; behind them stands what was read.

        Args:
            passages: token ids each, together fewer than a segment has.
        """
        other = self.fork()
        other.close()
        for passage in passages:
            other.read(passage)
        return other

    def close(self) -> None:
        """Closes the open segment, though it is not full: what waits in it is written."""
        if self.open_ids:
            length = self.config.segment_length
            for start in range(0, len(self.open_ids), length):
                self._write(torch.tensor([self.open_ids[start : start + length]]))
            self.open_ids = []

    def snapshot(self, origin: Origin) -> MemoryState:
        """What was read, as a state that can be saved; later reading does not change it.

        Args:
            origin: which base and adapter the memories belong to.
        """
        tensors: dict[str, Tensor] = {OPEN_IDS: torch.tensor(self.open_ids, dtype=torch.int64)}
        if self.cache.local.behind is not None:
            tensors[BEHIND] = self.cache.local.behind[0].to("cpu", torch.int8)
        for index, layer in self.cache.memories.items():
            if layer.memory is not None:
                tensors[f"layers.{index}.matrix"] = layer.memory.matrix.detach().cpu()
                if layer.memory.norm is not None:
                    tensors[f"layers.{index}.norm"] = layer.memory.norm.detach().cpu()
        return MemoryState(origin, self.tokens_read, self.cache.segments, tensors)

    def restore(self, state: MemoryState, origin: Origin) -> None:
        """Goes on from a saved state.

        Raises:
            StateError: the state is of another base, adapter or configuration.
        """
        state.require(origin)
        paths = memory_paths(self.model)
        try:
            check_fit(
                state.tensors,
                state.tokens,
                state.segments,
                config=self.config,
                heads={index: (paths[index].shape.kv_heads, paths[index].shape.size) for index in self.cache.memories},
                vocabulary=cast(torch.nn.Embedding, self.model.get_input_embeddings()).num_embeddings,
            )
        except ValueError as error:
            raise StateError(
                f"the state says that {state.origin.model} wrote it, which cannot be: {error}",
                "do not use it; read the document again",
            ) from error
        self.reset()
        self.open_ids = state.tensors[OPEN_IDS].tolist()
        self.cache.segments = state.segments
        self.cache.tokens = state.tokens - len(self.open_ids)
        if BEHIND in state.tensors:
            self.cache.local.behind = state.tensors[BEHIND][None].to(self.device, torch.float32)
        for index, layer in self.cache.memories.items():
            matrix = state.tensors.get(f"layers.{index}.matrix")
            if matrix is not None:
                # A layer's memory lives where the layer does, also when a model is spread over devices.
                device = paths[index].gate_bias.device
                norm = state.tensors.get(f"layers.{index}.norm")
                layer.memory = Memory(matrix.to(device), None if norm is None else norm.to(device))
