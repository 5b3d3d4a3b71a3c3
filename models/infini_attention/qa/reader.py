"""The reader: what a model is while it answers a question from passages in view.

An adapter of all its projections, trained on questions with their passages before them (see ``adapters``). They are in
force from the passages on to the end of the answer, and the memory is not: a reader that had learned with the beginning of
each story in memory had a token F1 of 0.37 with it and 0.43 without, over 46 questions of FairytaleQA's validation split.
Memory states do not depend on a reader. A model's recipe may name another model that reads in its place: one that remembers
well need not be the one that reads best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from transformers import PreTrainedModel

from ..memory.adapting import Switchable
from ..memory.engine import Engine
from ..model import prompts
from ..model.adapters import load_lora
from ..model.loading import Loaded
from .choosing import Generates, OneOf
from .passages_turn import passages_turn
from .turn import Turn


class PassageReader:
    """Answers from passages in view.

    Args:
        loaded: the model that reads them.
        apart: whether another model remembers what was read.

    Attributes:
        adapter: in force meanwhile; ``None``: the model as it is, with its memory where it has one.
        passages: how many are in view at most.
        chooses_numbers: whether a question for a number is answered with one that stands in view.
    """

    def __init__(self, loaded: Loaded, *, apart: bool = False) -> None:
        self.loaded, self.apart = loaded, apart
        self.adapter = load_lora(loaded.model, "reader", loaded.recipe.reader_file)
        settings = loaded.recipe.answers
        self.passages = settings.in_view if self.adapter is None else settings.reader_passages
        self.chooses_numbers = settings.choose_numbers

    @property
    def needs_memory(self) -> bool:
        """Whether what was read has a part in the answer; an adapter goes by passages alone."""
        return self.adapter is None and self.loaded.memory and not self.apart

    def answering(
        self,
        question: str,
        passages: Sequence[str],
        max_tokens: int,
        remembered: Callable[[], Engine],
        *,
        options: Sequence[str] = (),
        may_refuse: bool = False,
    ) -> tuple[Turn, Generates]:
        """What is asked of the model, and what answers that.

        Args:
            question: as a person put it.
            passages: their texts, in reading order, at least one.
            max_tokens: after so many the answer ends with its sentence.
            remembered: gives the engine with what was read, which stays as it is; called only where memory has a part.
            options: the only possible answers; none: any are.
            may_refuse: whether the answer may be that the text does not tell.
        """
        loaded = self.loaded
        if loaded.memory:
            turn = Turn(loaded, prompts.fill("ask", question=question), max_tokens)
            view = [loaded.encode(text + "\n\n") for text in passages]
            if self.needs_memory:
                engine = remembered().reading_again(view)
            else:
                engine = by_passages(loaded.model, self.adapter, view)
        else:
            before, after = passages_turn(loaded, "\n\n".join(passages), question)
            turn = Turn(loaded, "", max_tokens, prompt=[*before, *after])
            # What keeps an answer from repeating itself must not keep it from quoting passages, or words of the question.
            turn.quotable = len(turn.prompt)
            engine = by_passages(loaded.model, self.adapter, [])
        turn.in_view, turn.may_refuse = True, may_refuse
        return turn, OneOf(engine, [loaded.encode(option) for option in options]) if options else engine


def by_passages(model: PreTrainedModel, reader: Switchable | None, passages: Iterable[Sequence[int]]) -> Engine:
    """An engine that goes by passages alone, with a reader in force from the first of them on.

    Args:
        model: what the reader was trained with.
        reader: the reader; ``None``: the model as it is.
        passages: token ids each, together fewer than a segment has.
    """
    engine = Engine(model, use_memory=False)
    engine.adapter = reader
    for passage in passages:
        engine.read(passage)
    return engine
