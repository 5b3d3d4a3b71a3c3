"""An answer as a reader gives it: find the place, read it again, and answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..qa.turn import GRACE, Turn
from ..text.passages import Sentence
from ..text.search import best_sentence
from .refuse import TOLD, refuses
from .retrieve import Found, LookBack
from .view import in_view

if TYPE_CHECKING:
    from .. import Engine, Loaded
    from ..model.adapters import LowRankChanges
    from .choosing import Answering


@dataclass
class Answer:
    """A question on its way to an answer.

    Args:
        loaded: The model.
        question: As the person put it.
        instruction: The same as the model is told.
        limit: Tokens after which the answer ends with its sentence.
        back: Where to look back; None answers from memory alone.
        reader: In force while the answer is given from passages; None: the model as it is, with its memory.

    Attributes:
        turn: The instruction and the model's answer.
        found: The passages that speak for the question, the best one first; the answer rests on the first, or on all (see
            `view.in_view`).
        refused: Whether there is none, because the text does not seem to tell; the model may find so too.
    """

    loaded: Loaded
    question: str
    instruction: str
    limit: int
    back: LookBack | None
    reader: LowRankChanges | None = None
    found: Sequence[Found] = ()
    refused: bool = False
    turn: Turn = field(init=False)

    def __post_init__(self) -> None:
        self.turn = Turn(self.loaded, self.instruction, self.limit)

    def pieces(self, remembered: Callable[[], Engine]) -> Iterator[str]:
        """Answer, piece by piece.

        Args:
            remembered: Gives the engine with what was read, which stays as it is; asked where memory has a part in the
                answer.
        """
        from .choosing import from_passages
        from .evidence import REFUSAL

        engine: Answering | None = None
        if self.back is not None:
            room = self.loaded.config.segment_length - len(self.turn.prompt) - self.limit - GRACE
            self.found = self.back.find(self.question, room)
            if refuses(self.loaded, self.question, self.found):
                self.refused, self.found = True, ()
                self.turn.ids = self.loaded.encode(TOLD)
                yield TOLD
                return
            if self.found:
                shown = in_view(self.question, self.found, by_reader=self.reader is not None)
                view = [self.back.view(shown.found)]
                engine = from_passages(self.loaded, view, remembered, reader=self.reader, options=shown.numbers)
                self.turn.in_view, self.turn.may_refuse = True, False
        yield from self.turn.pieces(engine or remembered())
        if self._text().startswith(REFUSAL):
            self.refused, self.found = True, ()

    def evidence(self) -> list[tuple[Found, Sentence]]:
        """The sentence of each passage, the best one's first, that comes nearest to the question and the answer."""
        return [(one, best_sentence(one.passage, f"{self.question} {self._text()}")) for one in self.found]

    def _text(self) -> str:
        return str(self.loaded.tokenizer.decode(self.turn.ids, skip_special_tokens=True)).strip()
