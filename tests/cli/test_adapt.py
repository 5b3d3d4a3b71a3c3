from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import SENTENCES, Infini, assert_error, write_recipe
from infini_attention import Loaded, Session, load_model
from infini_attention.data import facts, needles
from infini_attention.documents.source import document_of_text
from infini_attention.model.recipe import find
from infini_attention.train.chat_questions import ChatQuestions
from infini_attention.train.training_plan import Phase, TrainingPlan
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.txt").write_text(" ".join(SENTENCES[number:] * 12))
    return folder


def test_trains_goes_on_and_can_be_used(infini: Infini, data: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "adapted"
    command = ("adapt", "--data", data, "-o", out, "--steps", "3", "--seed", "5", "--format", "json")
    outcome = infini(*command)
    assert outcome.code == 0, outcome.err
    value = json.loads(outcome.out)
    assert value["schema"] == "infini.adapt/1"
    assert (value["steps"], value["last"]["step"]) == (3, 3)
    assert "step 3/3" in outcome.err and "loss" in outcome.err
    assert {"adapter.safetensors", "recipe.toml", "log.jsonl", "checkpoint.pt"} <= {p.name for p in out.iterdir()}
    # Weights that went astray are written again, from the checkpoint.
    weights = (out / "adapter.safetensors").read_bytes()
    (out / "adapter.safetensors").unlink()
    assert json.loads(infini(*command).out)["last"] is None
    assert (out / "adapter.safetensors").read_bytes() == weights
    state = tmp_path / "s.pt"
    outcome = infini("read", "-o", state, "--model", out, stdin=SENTENCES[0].encode() * 4)
    assert outcome.code == 0
    assert "untrained" not in outcome.err
    # Taken where it is named, and not taken for the model it was trained from.
    assert infini("ask", "--memory", state, "Who?", "--max-tokens", "2", "--model", out).code == 0
    assert_error(infini("ask", "--memory", state, "Who?", "--model", model), 5, model, str(out))


def test_trains_on_from_an_adapter_unless_told_to_start_fresh(
    infini: Infini, data: Path, tmp_path: Path, model: str
) -> None:
    def first_loss(out: str, *options: object) -> float:
        assert infini("adapt", "--data", data, "-o", tmp_path / out, "--steps", "4", *options).code == 0
        return float(json.loads((tmp_path / out / "log.jsonl").read_text().splitlines()[0])["loss"])

    start = first_loss("first")
    trained = ("--model", tmp_path / "first", "--recipe", Path(model) / "recipe.toml")
    assert first_loss("fresh", *trained, "--fresh") == start
    assert first_loss("on", *trained) != start
    adapters = [(tmp_path / out / "adapter.safetensors").read_bytes() for out in ("first", "fresh", "on")]
    assert adapters[0] == adapters[1] != adapters[2]


def test_a_plan_may_give_the_path_that_it_goes_on_with_a_new_part(
    infini: Infini, data: Path, tmp_path: Path, model: str
) -> None:
    command = ("adapt", "--data", data, "--steps", "2", "-o")
    assert infini(*command, tmp_path / "first").code == 0
    plan = tmp_path / "plan.toml"
    text = (Path(model) / "recipe.toml").read_text()
    # So small a rate leaves the weights what they were.
    plan.write_text(
        text.replace("rank = 4", "rank = 4\nkey_state_layers = [1]").replace("warmup = 1", "lr = 1e-9\nwarmup = 1")
    )
    assert infini(*command, tmp_path / "second", "--model", tmp_path / "first", "--recipe", plan).code == 0
    first, second = (load_file(tmp_path / out / "adapter.safetensors") for out in ("first", "second"))
    new = {"layers.1.key_state_weight", "layers.1.key_state_bias", "layers.1.key_state_scale"}
    assert set(second) - set(first) == new and set(first) < set(second)
    assert first["layers.0.value_up"].any()
    torch.testing.assert_close(second["layers.0.value_up"], first["layers.0.value_up"])
    assert load_model(str(tmp_path / "second"), fetch=False).config.key_state_layers == (1,)


def with_tasks(model: str, folder: Path, **tasks: float) -> Path:
    """A copy of the tiny model whose training plan has these tasks."""
    shutil.copytree(model, folder)
    plan = (folder / "recipe.toml").read_text().partition("[training.phases.tasks]")[0]
    lines = [f"{name} = {weight}\n" for name, weight in tasks.items()]
    (folder / "recipe.toml").write_text(plan + "[training.phases.tasks]\n" + "".join(lines))
    return folder


def test_tasks_without_texts_are_left_out_unless_a_recipe_asks_for_them(
    infini: Infini, data: Path, tmp_path: Path, model: str
) -> None:
    folder = with_tasks(model, tmp_path / "plan", language_modelling=1, questions=1)
    command = ("adapt", "-o", tmp_path / "out", "--data", data, "--steps", "2")
    outcome = infini(*command, "--model", folder)
    assert outcome.code == 0 and "left out for want of texts: questions" in outcome.err
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert {record["task"] for record in log} == {"language_modelling"}
    assert_error(infini(*command, "--recipe", folder), 1, "the task questions needs texts")
    # Nothing would be left of the plan.
    only = with_tasks(model, tmp_path / "only", questions=1)
    assert_error(infini(*command, "--model", only), 1, "the task questions needs texts")


def test_a_model_may_have_a_plan_for_texts_of_ones_own(infini: Infini, data: Path, tmp_path: Path, model: str) -> None:
    folder = with_tasks(model, tmp_path / "plan", language_modelling=1)
    own = (folder / "recipe.toml").read_text().replace("[training]", "[training]\nseed = 77", 1)
    (folder / "adapt.toml").write_text(own)
    for out, chosen, seed in (("own", "--model", 77), ("recipe", "--recipe", 0)):
        outcome = infini("adapt", "-o", tmp_path / out, "--data", data, "--steps", "1", chosen, folder)
        assert outcome.code == 0, outcome.err
        assert tomllib.loads((tmp_path / out / "recipe.toml").read_text())["training"]["seed"] == seed


def test_distils_the_bases_own_context_where_it_has_room(
    infini: Infini, data: Path, tmp_path: Path, model: str
) -> None:
    folder = with_tasks(model, tmp_path / "plan", context_distillation=1)
    command = ("adapt", "-o", tmp_path / "out", "--recipe", folder, "--data", data, "--steps", "2")
    assert_error(infini(*command), 1, "do not fit into the base's context")
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("[160]", "[32]").replace("320", "96"))
    outcome = infini(*command)
    assert outcome.code == 0, outcome.err
    assert "context_distillation: loss" in outcome.err


def test_trains_on_needles_and_facts(infini: Infini, data: Path, tmp_path: Path, model: str) -> None:
    folder = with_tasks(model, tmp_path / "plan", needles=1, facts=1)
    command = ("adapt", "-o", tmp_path / "out", "--recipe", folder, "--steps", "4")
    outcome = infini(*command, "--data", data)
    assert outcome.code == 0, outcome.err
    assert "needles: loss" in outcome.err and "facts: loss" in outcome.err
    recipe = folder / "recipe.toml"
    paper = recipe.read_text().replace("rank = 4", 'rank = 4\nupdate_rule = "delta"\ngate = "convex"')
    recipe.write_text(paper.replace("tokens = 320", "tokens = 320\nreplayed_tokens = 999"))
    command = ("adapt", "-o", tmp_path / "paper", "--model", folder, "--steps", "1")
    assert_error(infini(*command), 1, "delta rule cannot write a segment again", "replayed_tokens")
    recipe.write_text(paper)
    assert infini(*command).code == 0


def test_what_was_hidden_is_asked_as_a_person_asks(
    infini: Infini, data: Path, tmp_path: Path, model: str, loaded: Loaded
) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for hidden in (facts.draw("person_place", rng), needles.draw("number_of_four", rng)):
            prompt, answer = (loaded.tokenizer.decode(ids) for ids in ChatQuestions(loaded)(hidden, rng))
            assert hidden.question in prompt and prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
            assert hidden.answers[0] not in prompt.split("assistant")[-1] and hidden.question.endswith("?")
            assert answer.startswith(hidden.answers[0]) and answer.endswith("<|im_end|>")
    folder = with_tasks(model, tmp_path / "plan", chat_keys=1)
    outcome = infini("adapt", "-o", tmp_path / "out", "--recipe", folder, "--steps", "1", "--data", data)
    assert outcome.code == 0 and "chat_keys: loss" in outcome.err, outcome.err


PARTS = [f"{sentence} {'So it went. ' * 11}" for sentence in SENTENCES[:5]]
ASKED = [{"question": f"{part[:30]}?", "answers": ["it"], "evidence": part} for part in PARTS]


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    """A text whose parts are passages, with a question on each."""
    file = tmp_path / "stories.jsonl"
    file.write_text(json.dumps({"text": "\n\n".join(PARTS), "questions": ASKED}))
    return file


def test_training_the_memory_keeps_what_else_the_model_has(
    infini: Infini, data: Path, tmp_path: Path, base_folder: Path
) -> None:
    model = write_recipe(tmp_path / "whole", base_folder, segment=640, refuse_below=0.5)
    beside = ("reranker", "reader")
    for name in beside:
        (model / f"{name}.safetensors").write_bytes(name.encode())
        (model / f"{name}.toml").write_text(f"# {name}")
    out = tmp_path / "adapted"
    outcome = infini("adapt", "--data", data, "--model", model, "-o", out, "--steps", "1")
    assert outcome.code == 0, outcome.err
    assert find(str(out)).refuse_below == 0.5
    for name in beside:
        assert (out / f"{name}.safetensors").read_bytes() == name.encode()
        assert (out / f"{name}.toml").read_text() == f"# {name}"


def test_a_reranker_is_trained_and_asked(infini: Infini, stories: Path, tmp_path: Path, base_folder: Path) -> None:
    model = str(write_recipe(tmp_path / "roomy", base_folder, segment=640))
    folder = with_tasks(model, tmp_path / "plan", passage_choice=1)
    out = tmp_path / "reranking"
    command = ("adapt", "--system", "reranker", "-o", out, "--recipe", folder, "--steps", "2")
    assert_error(infini(*command), 1, "passage_choice needs texts with at least 4 questions")
    outcome = infini(*command, "--questions", stories, "--dry-run")
    assert outcome.code == 0 and "phase 1: 2 steps; passage_choice 1" in outcome.out, outcome.err
    outcome = infini(*command, "--questions", stories)
    assert outcome.code == 0 and "passage_choice: loss" in outcome.err, outcome.err
    assert {"reranker.safetensors", "reranker.toml", "recipe.toml"} <= {p.name for p in out.iterdir()}
    assert (out / "recipe.toml").read_text() == (folder / "recipe.toml").read_text()
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(PARTS))
    outcome = infini("ask", "-f", text, ASKED[2]["question"], "--model", out, "--max-tokens", "2", "--format", "json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["sources"]
    # From a plan alone, and trained on beside the model that it reranks for.
    more = ("adapt", "--system", "reranker", "-o", tmp_path / "more", "--model", out, "--recipe", out / "reranker.toml")
    assert infini(*more, "--questions", stories).code == 0
    assert (tmp_path / "more" / "recipe.toml").read_text() == (folder / "recipe.toml").read_text()
    plan = folder / "reranker-alone.toml"
    (folder / "recipe.toml").rename(plan)
    alone = ("adapt", "--system", "reranker", "-o", tmp_path / "alone", "--recipe", plan, "--steps", "1")
    assert infini(*alone, "--questions", stories).code == 0
    assert infini("models", "show", tmp_path / "alone").code == 0
    for system, task in (("memory", "passage_choice"), ("reranker", "distant_passkey"), ("reader", "passage_choice")):
        plan = with_tasks(model, tmp_path / system, **{task: 1})
        wrong = ("adapt", "--system", system, "-o", tmp_path / "none", "--recipe", plan, "--questions", stories)
        assert_error(infini(*wrong), 1, f"the system {system} cannot learn the task {task}")


def test_a_reader_is_trained_beside_a_reranker_and_answers(
    infini: Infini, stories: Path, tmp_path: Path, base_folder: Path
) -> None:
    model = str(write_recipe(tmp_path / "roomy", base_folder, segment=640))
    folder = with_tasks(model, tmp_path / "plan", reading=1)
    (folder / "reranker.toml").write_text("kept = true\n")
    out = tmp_path / "reading"
    command = ("adapt", "--system", "reader", "-o", out, "--recipe", folder, "--model", folder, "--steps", "2")
    assert_error(infini(*command), 1, "reading needs texts with questions")
    outcome = infini(*command, "--questions", stories, "--dry-run", "--format", "json")
    value = json.loads(outcome.out)
    assert value["tokens"] is None and value["measured"]["tokens"] > 0
    outcome = infini(*command, "--questions", stories)
    assert outcome.code == 0 and "reading: loss" in outcome.err, outcome.err
    assert {"reader.safetensors", "reader.toml", "recipe.toml", "reranker.toml"} <= {p.name for p in out.iterdir()}
    # It is in force where passages are in view, and nowhere else.
    reader = load_file(out / "reader.safetensors")
    save_file({name: tensor + 0.5 for name, tensor in reader.items()}, out / "reader.safetensors")
    for view, changed in (("right", True), ("passages", True), ("memory", False)):
        asked = ("eval", "qa", "--data", stories, "--view", view, "--limit", "3", "--json")
        told = [json.loads(infini(*asked, "--model", where).out) for where in (folder, out)]
        assert ["reader_sha256" in each for each in told] == [False, changed]
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(PARTS))
    question = ("ask", "-f", text, ASKED[1]["question"], "--max-tokens", "4")
    with_it, without = infini(*question, "--model", out), infini(*question, "--model", folder)
    assert with_it.code == 0 and with_it.out != without.out, with_it.err
    # A document is only searched for a reader, unless a state is to remember it.
    read = re.compile(r"text\.txt: .*\d segment")
    assert "text.txt: searched" in with_it.err and not read.search(with_it.err)
    assert "searched" not in without.err and read.search(without.err)
    # Where no passage shares a word with the question, the beginning of the text is in view.
    state, nothing = tmp_path / "s.pt", ("ask", "-f", text, "Xylophones?", "--max-tokens", "4", "--model", out)
    outcome = infini(*nothing, "--format", "json")
    assert not read.search(outcome.err)
    assert {source["text"] for source in json.loads(outcome.out)["sources"]} <= {part.strip() for part in PARTS}
    session = Session(load_model(str(out), device="cpu"))
    session.add([document_of_text(text.read_text(), "text.txt")])
    assert PARTS[0].strip() in [found.passage.text for found in session.answerer().find("Xylophones?")]
    assert infini("read", "-o", state, "--model", out, stdin=b"It rained. ").code == 0
    outcome = infini(*question, "--memory", state, "--update", "--model", out)
    assert outcome.code == 0 and read.search(outcome.err), outcome.err
    assert [source["name"] for source in json.loads(infini("state", "show", state, "--format", "json").out)["sources"]][
        1
    ] == "text.txt"
    alone = [infini(*question, "--memory-only", "--model", where).out for where in (folder, out)]
    assert alone[0] == alone[1]


def test_a_reader_learns_the_numbers_of_long_texts(infini: Infini, tmp_path: Path, base_folder: Path) -> None:
    model = str(write_recipe(tmp_path / "roomy", base_folder, segment=640))
    folder = with_tasks(model, tmp_path / "plan", numbers=1)
    command = ("adapt", "--system", "reader", "-o", tmp_path / "out", "--recipe", folder, "--steps", "2")
    assert_error(infini(*command), 1, "the task numbers needs texts", "--data")
    texts = tmp_path / "texts.txt"
    texts.write_text("So it went, and nobody spoke. " * 400)
    assert_error(infini(*command, "--data", texts), 1, "tell no numbers")
    texts.write_text("He counted nineteen ropes on the quay that day. So it went, and nobody spoke. " * 200)
    outcome = infini(*command, "--data", texts)
    assert outcome.code == 0 and "numbers: loss" in outcome.err, outcome.err


def test_memory_tokens_are_trained_and_measured(infini: Infini, data: Path, tmp_path: Path, model: str) -> None:
    out, folder = tmp_path / "tokens", with_tasks(model, tmp_path / "plan", language_modelling=1)
    command = ("adapt", "--system", "rmt", "--data", data, "-o", out, "--steps", "2", "--recipe", folder)
    outcome = infini(*command)
    assert outcome.code == 0 and "--system rmt" in outcome.err, outcome.err
    assert (out / "rmt.safetensors").is_file() and not (out / "adapter.safetensors").exists()
    measure = ("eval", "ppl", "--data", data, "--length", "200", "--limit", "1", "--system", "rmt")
    outcome = infini(*measure, "--model", out, "--format", "json")
    assert outcome.code == 0 and "untrained" not in outcome.err, outcome.err
    value = json.loads(outcome.out)
    assert value["rule"] is None and len(value["weights_sha256"]) == 64
    # 16 tokens of 32 numbers.
    assert value["summary"]["state_bytes"] in (16 * 32 * 4, 16 * 32 * 2)
    assert_error(infini(*measure), 1, "has no memory tokens", "infini adapt --system rmt")
    on = ("adapt", "--data", data, "-o", tmp_path / "on", "--steps", "1", "--recipe", folder, "--model", out)
    assert infini(*on, "--system", "rmt").code == 0
    assert_error(infini(*command, "--system", "knn"), 2, "knn")
    assert_error(infini(*command, "--rule", "delta"), 2, "no update rule")
    facts = with_tasks(model, tmp_path / "facts", distant_passkey=1)
    recipe = facts / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("tokens = 320", "tokens = 320\nreplayed_tokens = 999"))
    assert_error(infini(*command[:-1], facts), 1, "the system rmt cannot write a segment again")


def test_another_rule_is_trained_and_measured(infini: Infini, data: Path, tmp_path: Path, model: str) -> None:
    out, folder = tmp_path / "paper", with_tasks(model, tmp_path / "plan", language_modelling=1)
    command = ("adapt", "--data", data, "-o", out, "--steps", "1", "--recipe", folder, "--rule")
    assert infini(*command, "delta").code == 0
    written = (out / "recipe.toml").read_text()
    assert 'update_rule = "delta"' in written and 'gate = "convex"' in written
    measure = ("eval", "ppl", "--data", data, "--length", "200", "--limit", "1", "--format", "json")
    value = json.loads(infini(*measure, "--model", out).out)
    assert value["rule"] == "delta"
    for rule in ("linear", "deltanet"):
        outcome = infini(*measure, "--model", out, "--rule", rule)
        assert json.loads(outcome.out)["rule"] == rule and "trained with the delta rule" in outcome.err
    assert_error(infini(*measure, "--rule", "hebb"), 2, "hebb", "deltanet")
    assert_error(infini(*measure, "--rule", "delta", "--system", "window"), 2, "no update rule")


def test_trains_on_questions(infini: Infini, tmp_path: Path, model: str) -> None:
    folder = with_tasks(model, tmp_path / "plan", questions=1)
    record = {"text": " ".join(SENTENCES * 3), "questions": [{"question": "Who came?", "answers": ["the miller"]}]}
    stories = tmp_path / "stories.jsonl"
    stories.write_text(json.dumps(record))
    command = ("adapt", "-o", tmp_path / "out", "--recipe", folder, "--steps", "4")
    outcome = infini(*command, "--questions", stories)
    assert outcome.code == 0, outcome.err
    assert "questions: loss" in outcome.err
    assert_error(infini(*command), 1, "questions", "--questions")
    stories.write_text(json.dumps({"text": "No questions."}))
    assert_error(infini(*command, "--questions", stories), 1, "questions needs texts with questions")
    assert_error(infini(*command, "--questions", tmp_path / "none"), 3, "does not exist")


def test_dry_run_and_usage(infini: Infini, data: Path, tmp_path: Path, base_folder: Path, model: str) -> None:
    out = tmp_path / "adapted"
    outcome = infini("adapt", "-o", out, "--dry-run", "--steps", "7", "--recipe", Path(model) / "recipe.toml")
    assert outcome.code == 0 and "--data" in outcome.err
    assert "7 steps" in outcome.out and "320 tokens" in outcome.out
    value = json.loads(infini("adapt", "-o", out, "--dry-run", "--seed", "9", "--format", "json").out)
    assert (value["steps"], value["tokens"], value["plan"]["seed"]) == (20, 6400, 9)
    text = infini("adapt", "-o", out, "--dry-run", "--data", data).out
    assert re.search(r"each process: about [\d,]+ tokens, 0 h \d+ min, \d+\.\d GiB of memory", text), text
    measured = json.loads(infini("adapt", "-o", out, "--dry-run", "--data", data, "--format", "json").out)["measured"]
    assert 20 * 100 < measured["tokens"] < 20 * 1000 and 0 < measured["seconds"] < 600
    assert 2**26 < measured["bytes"] < 2**36
    assert not out.exists()
    assert_error(infini("adapt", "-o", out, "--data", tmp_path / "none"), 3, "does not exist")
    assert_error(infini("adapt", "-o", out), 1, "--data")
    assert_error(infini("adapt", "-o", out, "--model", base_folder, "--dry-run"), 2, "no training plan")
    assert_error(infini("adapt", "--data", data), 2, "--output")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_error(infini("adapt", "-o", out, "--data", empty), 1, "no texts")


def test_a_plan_scaled_keeps_its_shares() -> None:
    plan = TrainingPlan(tuple(Phase(steps, {"needles": 1.0}) for steps in (10, 30, 60)), warmup=20)
    assert [phase.steps for phase in plan.scaled(50).phases] == [5, 15, 30]
    assert plan.scaled(50).warmup == 10
    for steps in range(1, 12):
        assert plan.scaled(steps).steps == steps


def test_only_the_first_process_prints(
    infini: Infini, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    outcome = infini("adapt", "-o", tmp_path / "a", "--dry-run")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
