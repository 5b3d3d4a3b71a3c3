"""Notes as a training task: which words of a summary go with which part, and what is in view for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from infini_attention.data.stories import Story
from infini_attention.train.note_alignment import LEAST_WORDS, MOST_ROWS, MOST_WORDS, aligned, cut, note_task
from infini_attention.train.segments import IGNORED
from infini_attention.train.tasks import Plan
from letters import Letters

LOADED: Any = Letters()
MILL = "The miller ground corn beside the river. " * 50
SHIP = "A ship came into the harbour with eleven sheep. " * 50
SUMMARY = (
    "A miller who lives beside a river grinds the corn of everybody. Later a ship with sheep comes into the harbour of "
    "the small town there."
)


def decode(ids: torch.Tensor) -> str:
    return "".join(chr(i) for i in ids.tolist() if i > 0)


def test_parts_are_the_text_and_end_with_sentences() -> None:
    parts = cut(MILL + SHIP, words=100)
    assert " ".join(parts) == (MILL + SHIP).strip()
    assert all(part.endswith(".") and 100 <= len(part.split()) < 120 for part in parts[:-1])
    assert cut("", 10) == []
    said = "\u201cWho is there?\u201d She did not answer. (Nobody did.) 'Well!' he said."
    assert cut(said, words=1) == [
        "\u201cWho is there?\u201d",
        "She did not answer.",
        "(Nobody did.)",
        "'Well!'",
        "he said.",
    ]


def test_sentences_of_a_summary_go_to_the_part_that_they_tell() -> None:
    first, second = aligned([MILL, SHIP], SUMMARY)
    assert first.startswith("A miller") and first.endswith("everybody.")
    assert second.startswith("Later a ship")
    assert aligned([MILL, SHIP], "Nothing else happens.") == ["", ""]
    assert aligned(["?", "!"], SUMMARY) == ["", ""]


def test_a_note_is_asked_for_with_its_part_in_view_and_the_text_behind() -> None:
    task = note_task(LOADED, [Story(MILL + SHIP, (), (SUMMARY,)), Story("No summary.", ())], "{} words: {}".format)
    assert task.name == "notes" and len(task.examples) == 1
    seen = set()
    for seed in range(30):
        plan = Plan(1, 3, 500, 1)
        *before, last = task.sample(plan, np.random.default_rng(seed))
        behind = "".join(decode(segment.ids[0]) for segment in before)
        assert len(behind) <= 1500 and all(segment.labels is None for segment in before)
        assert last.labels is not None and len(last.ids) <= MOST_ROWS
        for row, labels in zip(last.ids, last.labels, strict=True):
            note = decode(labels[labels != IGNORED])
            words = len(note.split())
            assert LEAST_WORDS <= words <= MOST_WORDS
            assert decode(row).startswith(f"{max(10, round(words, -1))} words: ")
            part = decode(row).partition(": ")[2]
            assert ("miller" in note) == ("river" in part[:100])
            # Whatever the part is, the text was read to its end.
            assert part[:300] in f"{MILL}{SHIP}" and (part[:40] in behind or len(part) > len(behind))
            seen.add("miller" in note)
    assert seen == {True, False}
