"""What a writer of notes learns from: parts of texts, and what summaries of the whole say of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..data.stories import Story
from ..model.loading import Loaded
from ..summary.check import Support
from ..summary.notes import Writer
from ..text.central import ranked
from ..text.passages import sentence_texts
from ..text.telling import leans
from .note_alignment import aligned, cut
from .note_writing import Writable
from .questions import asked_turn

# Words of the parts that a text is cut into, once for each: of the last, only the most central sentences are in view.
PART_WORDS = (250, 450, 1500)
# Of a note.
LEAST_WORDS, MOST_WORDS = 8, 90


def writable(loaded: Loaded, story: Story) -> Iterator[Writable]:
    """The parts of a story of which its summaries tell something that the part itself bears out."""
    writer = Writer(loaded)
    for words in PART_WORDS if story.summaries else ():
        parts = cut(story.text, words)
        said = [aligned(parts, summary) for summary in story.summaries]
        for part, notes in zip(parts, zip(*said, strict=True), strict=True):
            own = sentence_texts(part)
            if not own:
                continue
            view = writer.shown(own, ranked(own))
            support = Support.of_view(view)
            # A note stands alone.
            supported = (itertools.dropwhile(leans, filter(support.holds, sentence_texts(note))) for note in notes)
            kept = [" ".join(note) for note in supported]
            kept = [note for note in kept if LEAST_WORDS <= len(note.split()) <= MOST_WORDS]
            if kept:
                size = sum(len(note.split()) for note in kept) // len(kept)
                turn = asked_turn(loaded, writer.instruction(" ".join(view), max(10, round(size, -1))), kept)
                yield Writable(turn.instruction, turn.answers)
