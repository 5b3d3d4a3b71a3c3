from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import SENTENCES, STORY, Infini, assert_error, write_recipe
from document_helpers import encrypt, make_pdf
from infini_attention.data.facts import TASKS
from infini_attention.errors import UsageFailure

from infini_cli.lists import parse_depths, parse_lengths


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """One long text: all of it is used."""
    file = tmp_path / "book.txt"
    file.write_text(STORY * 40)
    return file


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    file = tmp_path / "stories.jsonl"
    record = {
        "text": STORY,
        "questions": [{"question": "Who?", "answers": ["Ann"]}, {"question": "Where?", "answers": ["home", "there"]}],
        "summaries": ["A story of a few words about somebody."],
    }
    file.write_text(f"{json.dumps(record)}\n{json.dumps({**record, 'summaries': []})}\n")
    return file


def measured(infini: Infini, *arguments: object) -> dict[str, Any]:
    outcome = infini("eval", *arguments, "--format", "json")
    assert outcome.code == 0, outcome.err
    value: dict[str, Any] = json.loads(outcome.out)
    assert value["schema"] == "infini.eval/1"
    for cell in value["cells"]:
        assert cell["low"] is None or cell["low"] <= cell["score"] <= cell["high"]
        assert cell["trials"] >= 1
    return value


def labels(value: dict[str, Any], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(cell[name] for name in names) for cell in value["cells"]]


@pytest.mark.parametrize("system", ["memory", "local", "full", "window", "sinks", "knn"])
def test_passkeys_of_every_system(infini: Infini, system: str) -> None:
    value = measured(
        infini, "passkey", "--length", "120,160", "--depth", "0,100", "--limit", "2", "--seed", "3", "--system", system
    )
    assert labels(value, "length", "depth", "trials") == [(120, 0, 2), (120, 100, 2), (160, 0, 2), (160, 100, 2)]
    assert (value["task"], value["system"], value["seed"], value["limit"]) == ("passkey", system, 3, 2)
    assert value["summary"]["mean"] == sum(cell["score"] for cell in value["cells"]) / 4


def test_passkey_test_is_the_same_under_another_name(infini: Infini, texts: Path, tmp_path: Path) -> None:
    shape, plot = ("--length", "120,160", "--depth", "0,100", "--seed", "5"), tmp_path / "grid.png"
    value = measured(infini, "passkey", *shape, "--limit", "2", "--plot", plot)
    assert plot.read_bytes().startswith(b"\x89PNG")
    for name in ("passkey-test", "passkey"):
        assert json.loads(infini(name, *shape, "--trials", "2", "--haystack", "repeat", "--json").out) == value
    value = measured(infini, "passkey", *shape, "--limit", "1", "--hay", texts)
    assert value["texts"] == "book.txt"
    assert json.loads(infini("passkey-test", *shape, "--trials", "1", "--haystack", texts, "--json").out) == value


def test_keys_are_hidden_in_any_document_and_after_what_a_state_has_read(
    infini: Infini, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, state, shape = tmp_path / "book.pdf", tmp_path / "s.pt", ("--length", "120", "--depth", "0", "--limit", "1")
    page.write_bytes(encrypt(make_pdf([[one[:60] for one in SENTENCES]] * 4), "river"))
    monkeypatch.setenv("INFINI_PDF_PASSWORD", "river")
    assert measured(infini, "passkey", *shape, "--hay", page)["texts"] == "book.pdf"
    assert infini("read", texts, "-o", state, "-q").code == 0
    value = measured(infini, "passkey", *shape, "--memory", state)
    assert value["tokens_before"] > 0
    assert_error(infini("eval", "passkey", *shape, "--memory", state, "--system", "local"), 2, "local", "state")
    assert_error(infini("passkey-test", *shape, "--haystack", tmp_path / "no.txt"), 3)
    assert_error(infini("passkey-test", "--length", "640k", "--haystack", texts), 1, "haystack", "fewer")
    assert_error(infini("passkey-test", "--length", "5"), 1, "no room")
    assert_error(infini("passkey-test", *shape[:4], "--trials", "0"), 2)


def test_lengths_and_depths() -> None:
    assert parse_lengths("4k, 32K,1m,2000,0.5k,4096") == [4096, 32768, 1048576, 2000, 512]
    assert parse_depths("0,50%, end,12.5,start") == [0, 50, 100, 12.5]
    for wrong in ("", "4g", "-1", "0", "k", "1e9", "4k,"):
        with pytest.raises(UsageFailure):
            parse_lengths(wrong)
    for wrong in ("", "101", "-1", "top", "nan"):
        with pytest.raises(UsageFailure):
            parse_depths(wrong)


def test_plot_without_matplotlib(infini: Infini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    shape = ("eval", "passkey", "--length", "120")
    assert_error(infini(*shape, "--plot", tmp_path / "grid.png"), 1, "matplotlib", "pip install 'infini[plot]'")
    assert_error(infini(*shape, "--plot", tmp_path / "grid.txt"), 2, "image")


def test_needles_in_filler_and_in_texts(infini: Infini, texts: Path, tmp_path: Path) -> None:
    plot = tmp_path / "needles.png"
    value = measured(
        infini,
        *("needle", "--kind", "all", "--length", "600,900", "--limit", "2", "--hay", texts, "--plot", plot),
    )
    assert len(value["cells"]) == 18
    assert value["summary"]["effective_length"] is None
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert measured(infini, "needle", "--kind", "filler_number", "--length", "300", "--limit", "1")["kinds"] == [
        "filler_number"
    ]
    assert measured(infini, "needle", "--length", "300", "--limit", "1")["kinds"] == ["filler_number", "variables"]
    assert_error(infini("eval", "needle", "--kind", "number"), 2, "--hay")
    assert_error(infini("eval", "needle", "--kind", "double"), 2, "not known")


def test_facts_with_and_without_hay(infini: Infini, texts: Path) -> None:
    value = measured(infini, "facts", "--length", "0,900", "--limit", "2", "--hay", texts)
    assert labels(value, "kind", "length") == [(kind, length) for kind in TASKS for length in (0, 900)]
    assert set(value["summary"]) == {"mean_at_0", "mean_at_900"}
    assert_error(infini("eval", "facts", "--hay", texts, "--length", "64k"), 1, "haystack", "fewer")
    assert_error(infini("eval", "facts", "--hay", texts.parent / "none.txt"), 3, "does not exist")


def test_loss_by_position_and_a_word(infini: Infini, texts: Path, tmp_path: Path) -> None:
    value = measured(infini, "ppl", "--data", texts, "--length", "200", "--limit", "3", "--plot", tmp_path / "loss.svg")
    segment = value["cells"][0]["to"]
    assert labels(value, "from", "to")[:2] == [(0, segment), (segment, min(2 * segment, 200))]
    assert value["cells"][-1]["to"] == 200
    summary = value["summary"]
    sizes = [cell["to"] - cell["from"] for cell in value["cells"]]
    mean = sum(size * cell["score"] for size, cell in zip(sizes, value["cells"], strict=True)) / 200
    assert summary["nats_a_token"] == pytest.approx(mean, abs=1e-5)
    assert 1 < summary["perplexity_a_token"] < summary["perplexity_a_word"]
    assert summary["state_bytes"] > 0
    assert (
        measured(infini, "ppl", "--data", texts, "--length", "200", "--system", "local")["summary"]["state_bytes"] == 0
    )
    assert_error(infini("eval", "ppl", "--data", texts, "--length", "1k,2k"), 2, "one length")


def test_questions_and_summaries(infini: Infini, stories: Path) -> None:
    assert measured(infini, "qa", "--data", stories)["cells"][0]["trials"] == 4
    assert measured(infini, "qa", "--data", stories, "--limit", "3")["cells"][0]["trials"] == 3
    assert labels(measured(infini, "qa", "--data", stories), "kind", "measure") == [
        ("questions", "f1"),
        ("questions", "exact"),
        ("questions", "rouge_l"),
    ]
    value = measured(infini, "summary", "--data", stories)
    assert [cell["trials"] for cell in value["cells"]] == [1]


def test_questions_are_answered_from_what_is_asked_for(
    infini: Infini, tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFINI_MODEL", str(write_recipe(tmp_path / "roomy", base_folder, segment=640)))
    asked = [
        {"question": "Who found a letter under the bridge?", "answers": ["Marta"], "evidence": SENTENCES[2]},
        {"question": "Who knew?", "answers": ["nobody"]},
        {"question": "Zyzzyva?", "answers": ["none"], "evidence": SENTENCES[0]},
    ]
    file = tmp_path / "one.jsonl"
    # Passages end with a sentence after 80 words, so the letter stands in one of its own.
    story = f"{'So it went on. ' * 40}\n\n{SENTENCES[2]}\n\n{'Then it was over. ' * 40}"
    file.write_text(json.dumps({"text": story, "questions": asked}))
    for view, measures in (
        ("right", ["f1", "exact", "rouge_l"]),
        ("words", ["f1", "exact", "rouge_l", "cited"]),
        ("passages", ["f1", "exact", "rouge_l", "cited"]),
    ):
        value = measured(infini, "qa", "--data", file, "--view", view)
        assert value["view"] == view
        assert [(cell["measure"], cell["trials"]) for cell in value["cells"]] == [(name, 2) for name in measures]
    assert measured(infini, "qa", "--data", file, "--view", "memory")["cells"][0]["trials"] == 3
    plain = tmp_path / "plain.jsonl"
    plain.write_text(json.dumps({"text": story, "questions": asked[1:2]}))
    value = measured(infini, "qa", "--data", plain, "--view", "passages")
    assert labels(value, "measure", "trials") == [("f1", 1), ("exact", 1), ("rouge_l", 1)]
    assert_error(infini("eval", "qa", "--data", plain, "--view", "right"), 1, "no text comes with a question")
    assert_error(infini("eval", "qa", "--data", file, "--view", "left"), 2, "left")
    assert_error(infini("eval", "qa", "--data", file, "--view", "right", "--system", "window"), 2, "look nothing up")


def test_refusals_of_own_and_of_foreign_questions(
    infini: Infini, tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "two.jsonl"
    lines = [
        {"text": "So it went. " * 30, "questions": [{"question": f"Who {n}?", "answers": ["it"]} for n in range(3)]},
        {"text": "A fox slept. " * 30, "questions": [{"question": "What slept?", "answers": ["a fox"]}]},
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert_error(infini("eval", "refusal", "--data", file), 1, "never refuses", "benchmarks.refusal")
    for threshold, share in ((1e9, 1), (-1e9, 0)):
        folder = write_recipe(tmp_path / f"reranker{share}", base_folder, segment=640, refuse_below=threshold)
        monkeypatch.setenv("INFINI_MODEL", str(folder))
        value = measured(infini, "refusal", "--data", file)
        assert labels(value, "kind", "trials", "score") == [("answerable", 4, share), ("unanswerable", 4, share)]
    file.write_text(json.dumps(lines[0]))
    assert_error(infini("eval", "refusal", "--data", file), 1, "fewer than two texts")


def test_the_table_has_a_row_for_each_cell(infini: Infini) -> None:
    outcome = infini("eval", "passkey", "--length", "120", "--limit", "1", "-v")
    assert outcome.code == 0
    assert [line.split()[:3] for line in outcome.out.splitlines() if line.strip().startswith("120")] == [
        ["120", depth, "1"] for depth in ("0.000", "50.000", "100.000")
    ]
    assert "length 120, depth 0" in outcome.err


def test_a_stopped_measurement_goes_on(infini: Infini, monkeypatch: pytest.MonkeyPatch) -> None:
    from infini_attention.memory.engine import Engine

    shape = ("passkey", "--length", "160", "--depth", "0,100", "--limit", "2")
    whole = measured(infini, *shape)
    generate, calls = Engine.generate, []

    def counted(self: Engine, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return generate(self, *arguments, **options)

    monkeypatch.setattr(Engine, "generate", counted)
    assert infini("eval", *shape).code == 130
    outcome = infini("eval", *shape, "--format", "json")
    assert "going on after 3 figures" in outcome.err
    assert json.loads(outcome.out) == whole
    assert len(calls) == 5
    # Done: the next run measures anew.
    assert "going on" not in infini("eval", *shape).err


def test_figures_of_other_texts_or_of_a_failed_report_are_not_mixed_up(
    infini: Infini, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infini_cli import evaluating

    shape = ("eval", "ppl", "--data", texts, "--length", "100", "--limit", "2")

    def fail(*arguments: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(evaluating, "answer_file", fail)
        assert infini(*shape).code == 1
    # What was measured is not lost with the report; but it is not that of another text under the same name.
    before = texts.read_text()
    texts.write_text(before.replace("e", "a"))
    assert "going on" not in infini(*shape).err
    texts.write_text(before)
    assert "going on after" in infini(*shape).err
    assert_error(infini(*shape, "-o", tmp_path / "none" / "x.json"), 1, "does not exist")


def test_intervals_need_trials() -> None:
    from infini_attention.evaluate.scores import interval

    low, high = interval([1.0]) or (0, 0)
    assert 0.15 < low < 0.3 and high == 1
    assert interval([0.5] * 20) is None and interval([0.2, 0.4, 0.9, 0.1]) is None
    low, high = interval([0.2, 0.4, 0.9, 0.1, 0.3, 0.5]) or (0, 0)
    assert 0.1 < low < 0.4 < high < 0.8


def test_wrong_wishes(infini: Infini, stories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_error(infini("eval", "passkey", "--system", "magic"), 2, "magic", "sinks")
    assert_error(infini("eval", "passkey", "--system", "full", "--rule", "delta"), 2, "full")
    assert_error(infini("eval", "refusal", "--data", stories, "--system", "full"), 2, "full")
    assert infini("eval").code == 2
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    assert_error(infini("eval", "passkey"), 1, "rouge_score", "pip install 'infini[eval]'")
