"""MemoryState files: round trips, damage, hostile files, versions, atomic writing."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import os
import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from infini_attention.errors import InfiniError, StateError
from infini_attention.memory.engine import Engine
from infini_attention.memory.state import MemoryState, Origin, Source, fingerprint
from infini_attention.memory.state_file import HEADER
from infini_attention.memory.state_tensors import OPEN_IDS
from infini_attention.model.recipe import find, names
from safetensors.torch import save_file

from models import ORIGIN, RULES, SEGMENT, memory_model, text

SOURCES = (
    Source("a book.pdf", "pdf", "ab" * 32, 12, 27, "pypdf 7.1.0"),
    Source("-", "text", "cd" * 32, None, 8, "charset-normalizer 3.4"),
)
FORMATS = ("pt", "safetensors")


@functools.cache
def state_of(rule: str = "deltanet", tokens: int = 4 * SEGMENT + 3) -> MemoryState:
    engine = Engine(memory_model(dtype=torch.float32, update_rule=rule))
    engine.read(text(tokens)[0])
    state = engine.snapshot(ORIGIN)
    state.sources = SOURCES
    return state


@functools.cache
def content_of(form: str) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"state.{form}"
        state_of().save(path)
        return path.read_bytes()


def assert_same(left: MemoryState, right: MemoryState) -> None:
    assert left.header() == right.header()
    assert set(left.tensors) == set(right.tensors)
    for name, tensor in left.tensors.items():
        assert tensor.dtype == right.tensors[name].dtype and torch.equal(tensor, right.tensors[name])


def two_lines(error: InfiniError) -> None:
    assert error.message and error.hint
    assert "\n" not in error.message and "\n" not in error.hint


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("tokens", [0, 3, SEGMENT, 4 * SEGMENT + 3])
def test_a_state_comes_back_as_it_was_saved(rule: str, form: str, tokens: int, tmp_path: Path) -> None:
    state = state_of(rule, tokens)
    state.save(tmp_path / f"state.{form}")
    loaded = MemoryState.load(tmp_path / f"state.{form}")
    assert_same(loaded, state)
    assert (loaded.origin, loaded.sources) == (ORIGIN, SOURCES)
    assert loaded.memory_bytes == sum(t.numel() * 4 for name, t in state.tensors.items() if name != OPEN_IDS)


@pytest.mark.parametrize("form", FORMATS)
def test_the_format_is_told_by_content_not_by_name(form: str, tmp_path: Path) -> None:
    for name in ("a.pt", "b.safetensors", "c", "d.txt"):
        (tmp_path / name).write_bytes(content_of(form))
        assert_same(MemoryState.load(tmp_path / name), state_of())


@pytest.mark.parametrize("form", FORMATS)
def test_attachments_travel_along_and_are_under_the_digest(form: str, tmp_path: Path) -> None:
    path, state = tmp_path / f"state.{form}", state_of()
    with_text = dataclasses.replace(state, attachments={"text": bytes(range(256)), "more": b"\0"})
    with_text.save(path)
    loaded = MemoryState.load(path)
    assert loaded.attachments == with_text.attachments
    assert_same(loaded, with_text)
    assert loaded.memory_bytes == state.memory_bytes
    assert loaded.header()["digest"] != state.header()["digest"]
    loaded.attachments["more"] = b"\1"
    assert loaded.header()["digest"] != with_text.header()["digest"]


def test_the_name_chooses_the_format_that_is_written() -> None:
    assert content_of("pt")[:2] == b"PK"
    assert content_of("safetensors")[8:9] == b"{"


def test_every_part_of_the_header_is_under_its_digest(tmp_path: Path) -> None:
    state = state_of()
    changes: dict[str, Any] = {
        "format": "other",
        "version": 2,
        "origin": {**state.header()["origin"], "model": "other"},
        "tokens": state.tokens + 1,
        "segments": state.segments + 1,
        "sources": [],
        "digest": "0" * 64,
    }
    assert set(changes) == set(state.header())
    for key, value in changes.items():
        path = tmp_path / "state.safetensors"
        save_file(state.tensors, path, {HEADER: json.dumps({**state.header(), key: value})})
        with pytest.raises(StateError):
            MemoryState.load(path)


def load_changed(content: bytes, folder: Path) -> None:
    """Loads altered content: it must be refused cleanly, or be what it was."""
    path = folder / "changed"
    path.write_bytes(content)
    try:
        loaded = MemoryState.load(path)
    except StateError as error:
        two_lines(error)
    else:
        assert_same(loaded, state_of())


@settings(max_examples=300)
@given(st.sampled_from(FORMATS), st.data())
def test_a_flipped_byte_is_refused_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    content = bytearray(content_of(form))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    load_changed(bytes(content), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("form", FORMATS)
def test_flips_in_the_structure_of_the_file_are_refused_or_change_nothing(form: str, tmp_path: Path) -> None:
    # The directory of a zip file and the header of a safetensors file are where a reader trips.
    content = content_of(form)
    central = content.find(b"PK\x01\x02") if form == "pt" else 0
    span = range(central, len(content)) if form == "pt" else range(min(1200, len(content)))
    for place in span:
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        load_changed(bytes(changed), tmp_path)


@given(st.sampled_from(FORMATS), st.data())
def test_a_file_that_was_cut_short_is_refused(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    content = content_of(form)
    path = tmp_path_factory.getbasetemp() / "short"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(StateError) as caught:
        MemoryState.load(path)
    two_lines(caught.value)


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", b"\x08\0\0\0\0\0\0\0{", b"\xff" * 8 + b"{"]))
def test_any_other_file_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "other"
    path.write_bytes(start + content)
    with pytest.raises(StateError):
        MemoryState.load(path)


class Hostile:
    """Would run a function when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_hostile_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    target, path = tmp_path / "executed", tmp_path / "state.pt"
    torch.save({HEADER: "{}", "tensors": {}, "x": Hostile(target)}, path)
    with pytest.raises(StateError, match="objects other than tensors") as caught:
        MemoryState.load(path)
    two_lines(caught.value)
    assert caught.value.exit_code == 5
    # The bare pickle of an old torch file, and one behind a zip's first bytes.
    for content in (pickle.dumps(Hostile(target)), b"PK" + pickle.dumps(Hostile(target))):
        path.write_bytes(content)
        with pytest.raises(StateError):
            MemoryState.load(path)
    assert not target.exists()
    # The file does what it threatens where it is trusted: so the test above tests something.
    torch.save({"x": Hostile(target)}, path)
    torch.load(path, weights_only=False)
    assert target.exists()


def test_a_state_with_a_pickle_slipped_into_its_archive_is_refused(tmp_path: Path) -> None:
    target, path = tmp_path / "executed", tmp_path / "state.pt"
    with zipfile.ZipFile(io.BytesIO(content_of("pt"))) as source, zipfile.ZipFile(path, "w") as changed:
        for name in source.namelist():
            hostile = pickle.dumps({HEADER: Hostile(target), "tensors": {}}, protocol=2)
            changed.writestr(name, hostile if name.endswith("data.pkl") else source.read(name))
    with pytest.raises(StateError):
        MemoryState.load(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {HEADER: 3, "tensors": {}},
        {HEADER: "{}", "tensors": [1]},
        {HEADER: "[]", "tensors": {}},
        {HEADER: "null", "tensors": {}},
        {HEADER: "not json", "tensors": {}},
        {HEADER: "{}", "tensors": {OPEN_IDS: "text"}},
        {HEADER: "{}", "tensors": {1: torch.zeros(1)}},
        {HEADER: '{"format": "infini.state", "version": 1}', "tensors": {}},
    ],
)
def test_a_torch_file_that_is_no_state_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(StateError) as caught:
        MemoryState.load(tmp_path / "state.pt")
    two_lines(caught.value)


def test_an_adapter_is_not_taken_for_a_state(tmp_path: Path) -> None:
    save_file({"layers.0.down": torch.zeros(2)}, tmp_path / "adapter.safetensors")
    with pytest.raises(StateError):
        MemoryState.load(tmp_path / "adapter.safetensors")


@pytest.mark.parametrize("form", FORMATS)
def test_another_version_is_refused_with_both_numbers(form: str, tmp_path: Path) -> None:
    state, path = state_of(), tmp_path / f"state.{form}"
    header = json.dumps({**state.header(), "version": 7})
    if form == "pt":
        torch.save({HEADER: header, "tensors": state.tensors}, path)
    else:
        save_file(state.tensors, path, {HEADER: header})
    with pytest.raises(StateError, match=r"version 7.*knows 1"):
        MemoryState.load(path)


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_what_cannot_be_read_is_a_state_error(what: str, tmp_path: Path) -> None:
    path = tmp_path if what == "folder" else tmp_path / "missing.pt"
    with pytest.raises(StateError, match="cannot read") as caught:
        MemoryState.load(path)
    two_lines(caught.value)


@pytest.mark.parametrize("form", FORMATS)
def test_only_the_owner_may_read_a_state(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"state.{form}"
    old = os.umask(0)
    try:
        state_of().save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        state_of().save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(old)


def test_the_file_is_on_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(handle: int) -> None:
        order.append("sync")
        real_sync(handle)

    def replace(source: str, target: Path) -> None:
        order.append("replace")
        assert Path(source).parent == tmp_path
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    state_of().save(tmp_path / "state.pt")
    assert order[:2] == ["sync", "replace"]


@pytest.mark.parametrize("part", ["base", "adapter", "config"])
def test_the_state_of_another_model_is_refused_with_both_names(part: str) -> None:
    import dataclasses

    changes: dict[str, Any] = {part: "different", "model": "other-model"}
    other = dataclasses.replace(ORIGIN, **changes)
    with pytest.raises(StateError, match=f"{part} differs") as caught:
        state_of().require(other)
    assert "tiny" in caught.value.message and "other-model" in caught.value.message
    two_lines(caught.value)


@pytest.mark.parametrize("part", ["base", "adapter", "config"])
def test_the_state_of_the_same_model_before_it_changed_is_refused_for_what_changed(part: str) -> None:
    import dataclasses

    changes: dict[str, Any] = {part: "different"}
    with pytest.raises(StateError, match=f"with another {part}$") as caught:
        state_of().require(dataclasses.replace(ORIGIN, **changes))
    two_lines(caught.value)


def test_the_same_model_under_another_name_is_accepted() -> None:
    state_of().require(Origin("elsewhere", ORIGIN.base, ORIGIN.adapter, ORIGIN.config))


@pytest.mark.parametrize("form", FORMATS)
def test_the_size_does_not_depend_on_what_was_read(form: str, tmp_path: Path) -> None:
    sizes = []
    for tokens in (SEGMENT, 50 * SEGMENT):
        path = tmp_path / f"{tokens}.{form}"
        state = state_of("deltanet", tokens)
        state.save(path)
        sizes.append((state.memory_bytes, path.stat().st_size))
    # Digits of the counters are all that may differ.
    assert sizes[0][0] == sizes[1][0] == 2 * 2 * 8 * 8 * 4
    assert abs(sizes[0][1] - sizes[1][1]) <= 64


def test_the_fingerprint_knows_names_shapes_types_and_bytes_but_no_order() -> None:
    a, b = torch.arange(6.0).reshape(2, 3), torch.ones(2)
    wanted = fingerprint({"a": a, "b": b})
    assert fingerprint({"b": b, "a": a}) == wanted
    assert fingerprint({"a": a.T.contiguous().T, "b": b}) == wanted
    others = [
        {"a": a, "c": b},
        {"a": a.reshape(3, 2), "b": b},
        {"a": a.double(), "b": b},
        {"a": a + 1, "b": b},
        {"a": a},
        {"a": b, "b": a},
    ]
    assert len({fingerprint(other) for other in others} | {wanted}) == len(others) + 1


def test_a_state_may_name_the_same_weights_as_they_were_called_before(tmp_path: Path) -> None:
    now = Origin(ORIGIN.model, ORIGIN.base, "new adapter", "new config", ((ORIGIN.adapter, ORIGIN.config),))
    state_of().require(now)
    others: list[dict[str, Any]] = [
        {"base": "other"},
        {"adapter": "other"},
        {"config": "other"},
        {"adapter": "new adapter"},
    ]
    for changes in others:
        state = dataclasses.replace(state_of(), origin=dataclasses.replace(ORIGIN, **changes))
        with pytest.raises(StateError):
            state.require(now)
    # What is written names the weights as they are called now, and nothing else.
    dataclasses.replace(state_of(), origin=now).save(tmp_path / "new.pt")
    back = MemoryState.load(tmp_path / "new.pt")
    assert back.origin == now and back.origin.formerly == ()


BEFORE = {"key_state_": "register_", "value_state_": "register_value_", "beta_": "strength_", "g_": "decay_"}


def called_before(name: str) -> str:
    layer, _, part = name.rpartition(".")
    return f"{layer}." + next(
        (old + part.removeprefix(new) for new, old in BEFORE.items() if part.startswith(new)), part
    )


def test_the_former_names_of_a_recipe_are_those_of_its_own_weights() -> None:
    fields = {"key_state_layers": "registers", "value_state_layers": "value_registers", "decay_tokens": "horizons"}
    for recipe in map(find, names()):
        for former in recipe.formerly:
            adapter = recipe.adapter()
            assert adapter is not None and former.now == fingerprint(adapter)
            assert former.adapter == fingerprint({called_before(name): tensor for name, tensor in adapter.items()})
            config = {fields.get(name, name): value for name, value in recipe.config.to_dict().items()}
            assert former.config == hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
            assert recipe.former_names(former.now, recipe.config) == ((former.adapter, former.config),)
            assert recipe.may_have_written(former.config) and recipe.may_have_written(recipe.config.digest())
            # Other weights, and another memory path, never had those names.
            other = dataclasses.replace(recipe.config, segment_length=7)
            assert recipe.former_names("other", recipe.config) == recipe.former_names(former.now, other) == ()
