"""What a writer learns from: texts in parts, and which words of a summary go with which part."""

from __future__ import annotations

from infini_attention.train.note_alignment import aligned, cut

MILL = "The miller ground corn beside the river. " * 50
SHIP = "A ship came into the harbour with eleven sheep. " * 50
SUMMARY = (
    "A miller who lives beside a river grinds the corn of everybody. Later a ship with sheep comes into the harbour of "
    "the small town there."
)


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
        "'Well!' he said.",
    ]


def test_sentences_of_a_summary_go_to_the_part_that_they_tell() -> None:
    first, second = aligned([MILL, SHIP], SUMMARY)
    assert first.startswith("A miller") and first.endswith("everybody.")
    assert second.startswith("Later a ship")
    assert aligned([MILL, SHIP], "Nothing else happens.") == ["", ""]
    assert aligned(["?", "!"], SUMMARY) == ["", ""]
