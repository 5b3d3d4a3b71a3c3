from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import torch
from cli_helpers import OTHER, STORY, Infini, assert_error
from infini_attention import Engine, Loaded, MemoryState
from infini_attention.model.chat import stop_ids
from infini_attention.qa.turn import Turn


def test_summary_of_files_stdin_and_a_state_are_the_same(infini: Infini, state: Path) -> None:
    short = ("--length", "8")
    of_file = infini("summarize", state.parent / "book.txt", *short)
    assert of_file.code == 0
    assert of_file.out.endswith("\n") and not of_file.out.endswith("\n\n")
    assert "book.txt" in of_file.err
    assert infini("summarise", *short, stdin=STORY.encode()).out == of_file.out
    assert infini("summarize", "-", *short, stdin=STORY.encode()).out == of_file.out
    before = state.read_bytes()
    assert infini("summarize", "--memory", state, *short).out == of_file.out
    assert state.read_bytes() == before


def test_summary_as_json_and_to_a_file(infini: Infini, state: Path, tmp_path: Path) -> None:
    outcome = infini("summarize", "--memory", state, "--length", "5", "--format", "json")
    value = json.loads(outcome.out)
    assert value["schema"] == "infini.summarize/2"
    assert value["tokens"] == MemoryState.load(state).tokens
    outcome = infini("summarize", "--memory", state, "--length", "5", "-o", tmp_path / "out.txt")
    assert outcome.out == ""
    assert (tmp_path / "out.txt").read_text().strip() == value["summary"]


def test_length_is_checked(infini: Infini, state: Path) -> None:
    for length in ("huge", "0", "-3", "1.5"):
        assert_error(infini("summarize", "--memory", state, "--length", length), 2, "is not a length")


def test_ask_leaves_the_state_alone_unless_told(infini: Infini, state: Path) -> None:
    before = state.read_bytes()
    question = ("ask", "--memory", state, "Who finds the letter?", "--max-tokens", "6")
    first = infini(*question)
    assert first.code == 0 and first.out.strip()
    assert state.read_bytes() == before
    old = MemoryState.load(state)
    assert infini(*question, "--update").out == first.out
    new = MemoryState.load(state)
    assert new.sources[:-1] == old.sources
    assert new.sources[-1].kind == "dialogue"
    assert new.tokens == old.tokens + new.sources[-1].tokens
    assert_error(infini("ask", "--update", "-f", state.parent / "book.txt", "Who?"), 2, "--memory")


def test_ask_documents(infini: Infini, state: Path) -> None:
    limit = ("--max-tokens", "6")
    of_state = infini("ask", "--memory", state, "Who?", *limit).out
    assert infini("ask", "-f", state.parent / "book.txt", "Who?", *limit).out == of_state
    assert infini("ask", "Who?", *limit, stdin=STORY.encode()).out == of_state
    (state.parent / "other.txt").write_text(OTHER)
    both = infini("ask", "--memory", state, "-f", state.parent / "other.txt", "Who?", *limit)
    assert both.code == 0 and "other.txt: " in both.err


def test_piped_questions_give_json_lines(infini: Infini, state: Path) -> None:
    ask = ("ask", "--memory", state, "--max-tokens", "4")
    outcome = infini(*ask, stdin=b"Who?\n\nWhen was it?\n")
    records = [json.loads(line) for line in outcome.out.splitlines()]
    assert [record["question"] for record in records] == ["Who?", "When was it?"]
    assert {record["schema"] for record in records} == {"infini.ask/1"}
    alone = json.loads(infini(*ask, "When was it?", "--format", "json").out)
    assert alone == records[1]
    answers = json.loads(infini(*ask, "--format", "json", stdin=b"Who?\nWhen was it?\n").out)["answers"]
    assert [answer["answer"] for answer in answers] == [record["answer"] for record in records]
    assert "{" not in infini(*ask, "--format", "text", stdin=b"Who?").out.replace(records[0]["answer"], "")
    assert_error(infini(*ask, stdin=b"\n \n"), 3, "no question")
    assert_error(infini(*ask, stdin=b"\xff\xfe\xff"), 3, "UTF-8")
    assert_error(infini(*ask, "  "), 2, "empty")


@pytest.mark.parametrize("arguments", [("summarize",), ("ask",), ("ask", "Who?")])
def test_no_input_on_a_terminal(infini: Infini, arguments: tuple[str, ...]) -> None:
    outcome = infini(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"Usage: infini {arguments[0]}")


def test_questions_are_asked_one_after_the_other_on_a_terminal(
    infini: Infini, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ("ask", "--memory", state, "--max-tokens", "4")
    outcome = infini(*ask)
    # Ctrl-D at once.
    assert (outcome.code, outcome.out) == (0, "") and "/quit" in outcome.err
    lines = iter(["", "Who?", "/sources", "/what", "When was it?", "/quit", "Never asked"])
    monkeypatch.setattr("builtins.input", lambda *prompt: next(lines))
    outcome = infini(*ask)
    assert outcome.code == 0
    assert "rests on no passage" in outcome.err and "/what is not known here" in outcome.err
    alone = "".join(infini(*ask, question).out for question in ("Who?", "When was it?"))
    assert outcome.out == alone
    lines = iter(["/sources", "Who?", "/quit"])
    outcome = infini(*ask, "--format", "json")
    assert json.loads(outcome.out)["question"] == "Who?" and "nothing was asked yet" in outcome.err
    assert infini("ask").code == 2


def test_ctrl_c_ends_an_answer_and_then_the_dialogue(
    infini: Infini, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    pieces = Turn.pieces

    def interrupted(turn: Turn, engine: Engine) -> Iterator[str]:
        calls.append("asked")
        if len(calls) == 1:
            raise KeyboardInterrupt
        yield from pieces(turn, engine)

    def lines(*prompt: str) -> str:
        if len(calls) == 2:
            raise KeyboardInterrupt
        return "Who?"

    monkeypatch.setattr(Turn, "pieces", interrupted)
    monkeypatch.setattr("builtins.input", lines)
    outcome = infini("ask", "--memory", state, "--max-tokens", "4", "--memory-only")
    assert outcome.code == 0 and "interrupted" in outcome.err and len(calls) == 2


def test_own_prompts(infini: Infini, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path / "own")
    shown: list[str] = []
    start = Turn.__init__

    def listen(turn: Turn, loaded: object, instruction: str, limit: int, **options: bool) -> None:
        shown.append(instruction)
        start(turn, loaded, instruction, limit, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Turn, "__init__", listen)
    prompts = tmp_path / "own" / "prompts"
    prompts.mkdir(parents=True)
    (prompts / "ask.txt").write_text("Q: {question} {braces}\n")
    assert infini("ask", "--memory", state, "What is {question}?", "--max-tokens", "2").code == 0
    assert set(shown) == {"Q: What is {question}? {braces}"}
    (prompts / "ask.txt").write_text("Say anything")
    assert_error(infini("ask", "--memory", state, "Who?"), 2, "{question}", str(prompts))


class ScriptedEngine:
    """Gives tokens that were laid down."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids

    def generate(self, prompt: list[int], most: int, **options: object) -> list[int]:
        return self.ids[:most]


def say(loaded: Loaded, text: str, limit: int) -> tuple[list[str], Turn]:
    turn = Turn(loaded, "Speak.", limit)
    pieces = list(turn.pieces(ScriptedEngine(loaded.encode(text))))  # type: ignore[arg-type]
    return pieces, turn


def test_streaming_never_breaks_a_character(loaded: Loaded) -> None:
    text = "Zürich, 東京 and 🦆🦆 \N{REPLACEMENT CHARACTER} end"
    pieces, turn = say(loaded, text, 500)
    assert "".join(pieces) == text
    assert len(pieces) > 10
    assert not turn.limit_reached


def test_half_a_character_at_the_end_is_shown_as_such(loaded: Loaded) -> None:
    turn = Turn(loaded, "Speak.", 500)
    ids = loaded.encode("a🦆")
    assert len(ids) > 2
    pieces = list(turn.pieces(ScriptedEngine(ids[:-1])))  # type: ignore[arg-type]
    assert "".join(pieces).rstrip("\N{REPLACEMENT CHARACTER}") == "a"


def test_an_answer_ends_with_its_sentence(loaded: Loaded) -> None:
    pieces, turn = say(loaded, "He paid 3.5 silver pieces. Then he said \u201cNo.\u201d Then he left the mill.", 3)
    assert "".join(pieces) == "He paid 3.5 silver pieces."
    assert turn.limit_reached and not turn.mid_sentence
    pieces, turn = say(loaded, "word " * 400, 3)
    assert turn.limit_reached and turn.mid_sentence
    assert len(turn.ids) == 3 + 64


def test_an_answer_may_not_end_before_its_least(loaded: Loaded) -> None:
    turn = Turn(loaded, "Speak.", 100, least=3)
    seen: list[bool] = []

    class Watching(ScriptedEngine):
        def generate(self, prompt: list[int], most: int, **options: Any) -> list[int]:
            for count in range(6):
                history = torch.tensor([[*prompt, *range(10, 10 + count)]])
                logits = options["processors"](history, torch.zeros(1, len(loaded.tokenizer)))
                seen.append(bool(logits[0, sorted(stop_ids(loaded.model, loaded.tokenizer))].isinf().all()))
            return self.ids

    list(turn.pieces(Watching(loaded.encode("Yes."))))  # type: ignore[arg-type]
    assert seen == [True, True, True, False, False, False]


def test_generation_crosses_segments_and_stops_at_the_end_of_turn(loaded: Loaded) -> None:
    tokenizer = loaded.tokenizer
    assert stop_ids(loaded.model, loaded.tokenizer) == {
        tokenizer.eos_token_id,
        tokenizer.convert_tokens_to_ids("<|im_end|>"),
    }
    engine: Engine = loaded.engine()
    engine.read(loaded.encode(STORY))
    turn = Turn(loaded, "Go on.", 100)
    list(turn.pieces(engine))
    assert len(turn.ids) > 64
    ids = torch.tensor(turn.ids)
    grams = [tuple(gram.tolist()) for gram in ids.unfold(0, 4, 1)]
    assert len(set(grams)) == len(grams)
    closing = tokenizer.decode(turn.transcript())
    assert closing.endswith("<|im_end|>\n") and "<|im_start|>user\nGo on.<|im_end|>" in closing
