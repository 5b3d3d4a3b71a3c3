"""Questions as a training task: what is read, what is asked, and what is to be learned."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.data.stories import Question, Story, load_stories
from infini_attention.errors import InfiniError
from infini_attention.train.questions import MOST_QUESTIONS, AskedTurn, Example, Instructions, asking, question_task
from infini_attention.train.segments import IGNORED, Segment
from infini_attention.train.tasks import BatchShape
from letters import Letters

MILLER = Question("Who came?", ("a miller", "the miller"))
QUESTIONS = [{"question": "Who came?", "answers": ["a miller", "the miller"]}]


LOADED: Any = Letters()


def decode(ids: torch.Tensor) -> str:
    return "".join(chr(i) for i in ids.tolist() if i > 0)


def write(path: Path, *records: dict[str, Any]) -> Path:
    lines = "\n".join(json.dumps(record) for record in records)
    path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


def test_records_of_every_kind_are_read_from_files_and_folders(tmp_path: Path) -> None:
    write(tmp_path / "own.jsonl", {"text": "A tale.", "questions": QUESTIONS, "summaries": ["Short."]}, {"text": "B."})
    asked = {**QUESTIONS[0], "section": "2", "attr": "character"}
    write(tmp_path / "a.jsonl.gz", {"story": "x", "sections": ["One.", "Two."], "qas": [asked]})
    plot = {"question": "What is the plot?", "references": ["This.", "That."]}
    write(tmp_path / "z.jsonl", {"document": "Long.", "questions": [plot, {"question": "?", "references": ["No."]}]})
    turn = (MILLER,)
    assert sorted(load_stories(tmp_path), key=lambda story: story.text) == [
        Story("A tale.", turn, ("Short.",)),
        Story("B.", ()),
        Story("Long.", (), ("This.", "That.")),
        Story("One.\n\nTwo.", (dataclasses.replace(MILLER, evidence="Two."),)),
    ]
    assert load_stories(tmp_path / "own.jsonl") == [Story("A tale.", turn, ("Short.",)), Story("B.", ())]


@pytest.mark.parametrize("line", ["{", "[]", '{"title": "x"}', '{"document": "x", "questions": []}'])
def test_a_record_of_another_kind_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "A."}\n\n' + line)
    with pytest.raises(InfiniError, match="x.jsonl, line 3"):
        load_stories(path)


def test_a_folder_without_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InfiniError, match="no texts with questions"):
        load_stories(tmp_path)


def asked_of(segment: Segment) -> list[tuple[str, str]]:
    """Each row's whole text but for its last token, and what is to be learned."""
    assert segment.labels is not None
    return [
        (decode(row), decode(labels[labels != IGNORED]))
        for row, labels in zip(segment.ids, segment.labels, strict=True)
    ]


@given(st.integers(1, 60), st.integers(1, 12), st.integers(2, 30), st.integers(1, 5), st.integers(0, 999))
def test_a_text_is_read_whole_before_its_questions(tokens: int, turns: int, length: int, full: int, seed: int) -> None:
    text = torch.arange(1000, 1000 + tokens)
    example = Example(text, tuple(AskedTurn([ord("a") + t], ([65 + t, 97, 33],)) for t in range(turns)))
    segments = Instructions([example]).sample(BatchShape(9, 9, length, full), np.random.default_rng(seed))
    *before, last = segments
    assert len(last.ids) == min(turns, MOST_QUESTIONS)
    assert all(segment.labels is None and segment.ids.shape[0] == 1 for segment in before)
    assert all(segment.ids.shape[1] == length for segment in before[:-1])
    assert sum(segment.backprop for segment in before) == min(full, len(before))
    closed = torch.cat([segment.ids[0] for segment in before])
    seen = set()
    for row, labels in zip(last.ids, last.labels if last.labels is not None else [], strict=True):
        rest = len(text) - len(closed)
        assert torch.equal(torch.cat([closed, row[:rest]]), text)
        turn = int(row[rest]) - ord("a")
        seen.add(turn)
        assert row[rest + 1 :].tolist() == [65 + turn, 97]
        assert labels.tolist() == [IGNORED] * rest + [65 + turn, 97, 33]
    assert len(seen) == len(last.ids)


def test_questions_are_put_as_the_prompt_says_and_answered_by_any_right_answer() -> None:
    story = Story("A tale.", (MILLER,))
    task = question_task(LOADED, [story, Story("No questions.", ())])
    assert len(task.examples) == 1
    rng, answers = np.random.default_rng(0), set()
    for _ in range(30):
        segments = task.sample(BatchShape(1, 2, 64, 1), rng)
        text = "".join(decode(segment.ids[0]) for segment in segments[:-1])
        (row, answer), *others = asked_of(segments[-1])
        assert not others
        assert (text + row).startswith(f"A tale.\n\n{asking('Who came?')}\n\n")
        assert (text + row + answer[-1]).endswith(answer)
        answers.add(answer)
    assert answers == {"a miller\n\n", "the miller\n\n"}


def test_rows_of_different_lengths_are_padded_behind_what_counts() -> None:
    questions = (Question("A?", ("yes",)), Question("Why is the sea salt?", ("because of a mill that grinds salt",)))
    segments = question_task(LOADED, [Story("T", questions)]).sample(BatchShape(1, 2, 64, 1), np.random.default_rng(0))
    last = segments[-1]
    assert last.labels is not None and last.ids.shape == last.labels.shape
    assert sorted(answer for _, answer in asked_of(last)) == ["because of a mill that grinds salt\n\n", "yes\n\n"]
    for row, labels in zip(last.ids, last.labels, strict=True):
        padding = int((row.flip(0) != 0).nonzero()[0])
        assert (labels[len(labels) - padding :] == IGNORED).all()
