"""JSON output is documented: every command's follows a schema that allows nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from cli_helpers import SENTENCES, STORY, Infini, assert_error, json_values, put_weights, validator
from infini_attention.model.recipe import find

from infini_cli import schemas

# Every schema and the commands that print it; FILES, STATE and OUT are put in. What `infini eval` and `infini adapt`
# print in other cases is checked wherever a test runs them: see the fixture `infini`.
COMMANDS = {
    "infini.adapt/1": ["adapt --data FILES -o OUT --steps 1"],
    "infini.ask/1": ["ask --memory STATE Who? --max-tokens 2", "ask --memory STATE --max-tokens 2 < Who?"],
    "infini.batch-summary/1": ["read FILES -o FOLDER"],
    "infini.batch/1": ["read ONE -o FOLDER --format jsonl"],
    "infini.eval/1": ["passkey-test --length 120 --depth 0 --trials 1", "eval ppl --data FILES --length 64 --limit 1"],
    "infini.forget/1": ["state forget STATE"],
    "infini.model/1": ["models show", "models show smollm2-135m"],
    "infini.models/1": ["models list"],
    "infini.plan/1": ["adapt --data FILES -o OUT --dry-run", "adapt -o OUT --dry-run"],
    "infini.prompt/1": ["prompts show ask", "prompts copy ask"],
    "infini.prompts/1": ["prompts list"],
    "infini.pull/1": ["models pull"],
    "infini.read/1": ["read FILES -o OUT"],
    "infini.schemas/1": ["schema"],
    "infini.state/1": ["state show STATE"],
    "infini.summarize/2": ["summarize FILES --length 2", "summarize FILES --style outline"],
    "infini.text/1": ["read FILES --dump-text"],
    "infini.verify/1": ["state verify STATE"],
    "infini.weights/1": ["models verify smollm2-135m"],
}
# Where a recipe's own tables are passed on as they stand.
FREE = {("infini.model/1", "training"), ("infini.model/1", "scores")}


@pytest.fixture
def words(infini: Infini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What stands for the words in capitals."""
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path / "own")
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(2):
        (texts / f"{number}.txt").write_text(" ".join(SENTENCES[number:] * 12))
    for name in ("smollm2-135m", "qwen2.5-coder-0.5b"):
        put_weights(find(name).base)
    state = tmp_path / "state.pt"
    assert infini("read", "-o", state, stdin=STORY.encode()).code == 0
    own = {"FOLDER": f"{tmp_path / 'states'}/", "OUT": str(tmp_path / "out")}
    return {"FILES": str(texts), "ONE": str(texts / "0.txt"), "STATE": str(state), **own}


def test_every_schema_is_tested() -> None:
    assert list(COMMANDS) == schemas.names()


@pytest.mark.parametrize(("name", "command"), [(name, one) for name, many in COMMANDS.items() for one in many])
def test_output_follows_its_schema_and_nothing_undocumented_would(
    infini: Infini, words: dict[str, str], name: str, command: str
) -> None:
    arguments, _, stdin = command.partition(" < ")
    chosen = [words.get(word, word) for word in arguments.split()]
    form = [] if "--format" in chosen else ["--format", "json"]
    outcome = infini(*chosen, *form, stdin=stdin.encode() or None)
    assert outcome.code == 0, outcome.err
    (value,) = json_values(outcome.out)
    assert value["schema"] == name
    check = validator(name)
    check.validate(value)
    places = [path for path in objects(value) if (name, *path[:1]) not in FREE]
    assert places
    for path in places:
        changed = copy.deepcopy(value)
        at(changed, path)["undocumented"] = {}
        assert not check.is_valid(changed), path
    for key in ("schema", list(value)[1]):
        assert not check.is_valid({other: part for other, part in value.items() if other != key}), key
    assert not check.is_valid({**value, "schema": "infini.other/1"})


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all JSON objects in a value."""
    if isinstance(value, dict):
        yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from objects(part, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@pytest.mark.parametrize("name", schemas.names())
def test_everything_is_described_and_closed(name: str) -> None:
    schema = schemas.read(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    short, _, version = name.removeprefix("infini.").partition("/")
    assert schema["$id"] == f"urn:infini:schema:{short}:{version}"
    assert schema["title"] and schema["description"]
    for path in objects(schema):
        part = at(schema, path)
        for key, one in [*part.get("properties", {}).items(), *part.get("patternProperties", {}).items()]:
            assert "$ref" in one or one["description"].endswith("."), (name, path, key)
        if part.get("type") == "object" and path[:1] != ("$defs",) and "oneOf" not in part:
            closing = part.get("additionalProperties", part.get("unevaluatedProperties"))
            assert closing is False or (closing is not None and "properties" not in part), (name, path)


def test_list_and_print(infini: Infini) -> None:
    outcome = infini("schema")
    assert [line.split("  ")[0] for line in outcome.out.splitlines()] == schemas.names()
    for name in ("infini.ask/1", "ask/1", "ask", "infini.ask"):
        assert json.loads(infini("schema", name).out) == schemas.read("infini.ask/1")
    assert infini("schema", "ask", "--format", "jsonl").out.count("\n") == 1
    assert_error(infini("schema", "frob"), 2, "not a schema")


def test_the_latest_version_is_meant_where_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in (2, 9, 10):
        (tmp_path / f"infini.a-b-{version}.json").write_text(json.dumps({"title": version}))
    monkeypatch.setattr(schemas, "files", lambda package: tmp_path)
    assert schemas.names() == ["infini.a-b/10", "infini.a-b/2", "infini.a-b/9"]
    assert [schemas.read(name)["title"] for name in ("a-b", "a-b/9")] == [10, 9]
