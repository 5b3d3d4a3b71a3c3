"""The systems that `benchmarks.summaries` compares, on the tiny model."""

from __future__ import annotations

import pytest
from infini_attention import Loaded
from infini_attention.documents import Block
from infini_attention.text.kept import KeptText
from infini_attention.text.passages import sentences

from benchmarks.summaries import SYSTEMS

STORY = KeptText.of(
    "text",
    "\n\n".join(
        f"Marta rowed to the island of Orrin on day {day}. She found the letter {day} under the bridge of the old mill. "
        f'"Go home," said the miller on day {day}.'
        for day in ("one", "two", "three", "four")
    ),
)


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_picks_sentences_of_the_text_that_fit(loaded: Loaded, name: str) -> None:
    if name == "lexrank":
        pytest.importorskip("sumy")
    found = [one.text for one in sentences(Block(SYSTEMS[name](loaded, STORY, 20)))]
    own = {one.text for block in STORY.blocks for one in sentences(block)}
    assert found and set(found) <= own and sum(len(one.split()) for one in found) <= 20
