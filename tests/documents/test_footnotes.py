from __future__ import annotations

import pytest
from infini_attention.documents.footnotes import take_marks

TEXT = ["The flood rose in the night,", "and fell again before the sun was up.", "Nobody had counted the boats."]


def test_marks_go_and_notes_are_set_apart() -> None:
    foot = ["7 See Smith,", "p. 12.", "8 In May.", "9 The log."]
    kept, marks = take_marks(["The flood rose7 in the night.8 “It", "fell,”9 she said.", *TEXT, *foot])
    assert marks == ["7", "8", "9"]
    assert kept[:5] == ["The flood rose in the night. “It", "fell,” she said.", *TEXT]
    assert kept[5:] == ["", "7 See Smith,", "p. 12.", "", "8 In May.", "", "9 The log."]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("The flood rose* in the night.", "* See Smith."),
        ("The flood rose.† Then it fell.", "†See Smith."),
        ("The flood rose¹² in the night.", "12 See Smith."),
        ("The flood rose12 in the night.", "¹²See Smith."),
        ("The flood rose in the night.3", "3. See Smith."),
    ],
)
def test_forms_of_marks(text: str, note: str) -> None:
    kept, marks = take_marks([text, *TEXT, note])
    assert len(marks) == 1 and kept[0] == text.replace(marks[0], "")
    assert kept[-1] == note


@pytest.mark.parametrize(
    "lines",
    [
        ["The flood rose3 in the night.", *TEXT],
        ["In version 1.3 the pump ran for 3 hours.", *TEXT, "3 See the log."],
        ["Press MP3 and then A3.", *TEXT, "3 See the log."],
        ["The flood rose3 and fell3 again.", *TEXT, "3 See the log."],
        ["The flood rose2 and fell1 again.", *TEXT, "1 See the log.", "2 See there."],
        ["The flood rose1 and fell.", *TEXT, "1 See the log.", "2 See there."],
        ["Take these1:", "1 Bring a lamp.", "2 Bring a rope.", "3 Light the lamp."],
        ["Sales rose3 in May.", *TEXT, "3 476 boats were counted."],
    ],
)
def test_what_may_not_be_a_mark_stays(lines: list[str]) -> None:
    assert take_marks(lines) == (lines, [])
