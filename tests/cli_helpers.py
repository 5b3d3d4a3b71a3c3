"""Texts and checks that the tests of the command line share."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.torture import tiny
from infini_cli import schemas

if TYPE_CHECKING:
    from infini_attention.model.spec import BaseSpec

ROOT = Path(__file__).parents[1]
SEGMENT = 32

SENTENCES = [
    *tiny.SENTENCES,
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them.",
    "The pass key is 12345. Remember it. 67890 is the pass key. What is the pass key?",
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.",
]
STORY = "\n\n".join(" ".join(SENTENCES[: 3 + n % 3]) for n in range(4))
OTHER = "\n\n".join(" ".join(reversed(SENTENCES[:5])) for _ in range(3))


class Terminal(io.StringIO):
    """What a person looks at."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """It is one."""
        return True


def of_a_process(**more: str) -> dict[str, str]:
    """Variables of a process that finds the library and the command line."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "models"), str(ROOT)]), **more}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


Infini = Callable[..., Outcome]


def write_recipe(
    folder: Path, base: Path, *, name: str = "tiny", segment: int = SEGMENT, refuse_below: float | None = None
) -> Path:
    """A recipe folder around base weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(
        f"""
name = "{name}"
{"" if refuse_below is None else f"refuse_below = {refuse_below}"}
[base]
source = "directory"
name = "{base}"
licence = "CC0-1.0"
[config]
segment_length = {segment}
rank = 4
[training]
warmup = 1
[[training.phases]]
steps = 20
lengths = [160]
segments = [2, 3]
tokens = 320
[training.phases.tasks]
language_modelling = 0.5
distant_passkey = 0.5
"""
    )
    return folder


def put_weights(spec: BaseSpec) -> Path:
    """Something in the place of fetched weights, sealed as they are."""
    from infini_attention.model import weights as base
    from infini_attention.model.integrity import seal

    folder = base._folder(spec)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"not really weights")
    seal(folder)
    (folder / base.DONE).touch()
    return folder


def assert_error(outcome: Outcome, code: int, *words: str) -> None:
    """The command failed as it should: status, nothing on stdout, two lines, no traceback."""
    assert outcome.code == code, outcome
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert [line.partition(":")[0] for line in lines[-2:]] == ["error", "hint"], outcome.err
    assert outcome.err.count("error:") == 1
    assert "Traceback" not in outcome.err
    assert all(line.partition(":")[2].strip() for line in lines[-2:])
    for word in words:
        assert word in "\n".join(lines[-2:]), outcome.err


@functools.cache
def validator(name: str) -> Any:
    """What tells whether a value follows a schema."""
    from jsonschema import Draft202012Validator

    schema = schemas.read(name)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def json_values(out: str) -> list[dict[str, Any]]:
    """The JSON objects that a command printed, one in all or one a line; none if it printed text."""
    for parts in ([out], out.splitlines()):
        try:
            values = [json.loads(part) for part in parts]
        except json.JSONDecodeError:
            continue
        return [value for value in values if isinstance(value, dict)]
    return []


def assert_documented(out: str) -> None:
    """All JSON that was printed follows the schema that it names, or is a schema itself."""
    for value in json_values(out):
        if "$schema" not in value:
            validator(value["schema"]).validate(value)
