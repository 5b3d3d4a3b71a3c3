"""States from strangers, their digest made right: refused at the door, or as sound as any that was read."""

from __future__ import annotations

import functools
import json
import os
import pickle
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from infini_attention.errors import InfiniError, StateError
from infini_attention.memory.engine import Engine
from infini_attention.text import kept
from infini_attention.text.kept import ATTACHMENT, KeptText, check_room, load_state, pack, unpack
from torch import Tensor

from benchmarks.torture.state_changes import DTYPES, packed, places
from models import ORIGIN, SEGMENT, VOCABULARY, memory_model, text

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2**63, 10**400, "", "x" * 5000, "\x1b[31m", [], {}, [[]], {"a": 1}, [None], "NaN",
)  # fmt: skip
RULES = ("deltanet", "linear")
Made = tuple[dict[str, Any], dict[str, Tensor]]


@functools.cache
def model_of(rule: str) -> Any:
    changes: dict[str, Any] = {"ngrams": (2, 3)} if rule == "deltanet" else {}
    return memory_model(dtype=torch.float32, update_rule=rule, **changes)


def honest(rule: str = "deltanet") -> Made:
    """Header and tensors of a state as reading gives them, with its text."""
    engine = Engine(model_of(rule))
    engine.read(text(4 * SEGMENT + 3)[0])
    state = engine.snapshot(ORIGIN)
    state.attachments = {ATTACHMENT: pack([KeptText.of("a.txt", "One.\n\nTwo.")])}
    header = state.header()
    header["sources"] = [
        {"name": "a", "kind": "text", "sha256": "ab" * 32, "pages": None, "tokens": 35, "extractor": "t 1"}
    ]
    return header, {name: tensor.clone() for name, tensor in state.stored().items()}


def write(path: Path, header: Any, tensors: dict[str, Tensor], *, sealed: bool = True) -> None:
    """A file in the form that its name tells, with a digest that is right."""
    path.write_bytes(packed(header, tensors, path.suffix, sealed=sealed))


def used_or_refused(path: Path, rule: str) -> bool:
    """Whether a state was refused, as it must be, or used; what is used holds no NaN and no infinity."""
    engine = Engine(model_of(rule))
    try:
        state = load_state(path)
        engine.restore(state, ORIGIN)
    except StateError as error:
        assert error.message and error.hint and "\n" not in error.message + error.hint
        return True
    for tensor in state.tensors.values():
        assert tensor.isfinite().all()
    logits: list[Tensor] = []

    def choose(found: Tensor) -> int:
        logits.append(found)
        return int(found.argmax())

    list(engine.generate([1, 2], 2, choose=choose))
    assert all(one.isfinite().all() for one in logits)
    return False


def changed(header: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(json.dumps(header))
    part: Any = whole
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return whole


@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_every_field_of_the_header_is_checked(form: str, tmp_path: Path) -> None:
    header, tensors = honest()
    path, refused = tmp_path / f"state.{form}", 0
    write(path, dict(header), tensors)
    assert not used_or_refused(path, "deltanet")
    tried = [(place, value) for place in places(header) for value in STRANGE if place != ("digest",)]
    assert len(tried) > 200
    for place, value in tried:
        write(path, changed(header, place, value), tensors)
        refused += used_or_refused(path, "deltanet")
    for missing in ("format", "version", "origin", "tokens", "segments", "sources"):
        write(path, {key: value for key, value in header.items() if key != missing}, tensors)
        assert used_or_refused(path, "deltanet")
    write(path, {**header, "more": 1}, tensors)
    assert used_or_refused(path, "deltanet")
    # What is left are names that a person may give, such as one with an escape in it, and null pages.
    assert refused > 0.9 * len(tried)


def spoiled(tensor: Tensor) -> Iterator[Tensor]:
    """A tensor in ways that no reading gives."""
    for dtype in DTYPES:
        if dtype is not tensor.dtype:
            yield tensor.to(torch.float32).to(dtype)
    yield tensor[:0].clone()
    yield tensor[None].clone()
    yield tensor.flatten()[:1].reshape(()).clone()
    if tensor.dim() > 1:
        yield torch.cat([tensor, tensor])
    yield (
        tensor.transpose(-1, -2).contiguous()
        if tensor.dim() > 2 and tensor.shape[-1] != tensor.shape[-2]
        else tensor[None]
    )
    numbers = (float("nan"), float("inf"), -float("inf"), 3e38) if tensor.is_floating_point() else (-(2**31), 2**62)
    for number in numbers:
        if tensor.dtype in (torch.int8, torch.uint8):
            number = 100
        other = tensor.clone()
        other.flatten()[-1] = number
        yield other


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_every_tensor_is_checked(rule: str, form: str, tmp_path: Path) -> None:
    header, tensors = honest(rule)
    path, tried = tmp_path / f"state.{form}", 0
    for name, tensor in tensors.items():
        for other in spoiled(tensor):
            write(path, dict(header), {**tensors, name: other})
            # Changed letters of a text that is compressed are refused too: all of these are.
            assert used_or_refused(path, rule), (name, other.dtype, other.shape)
            tried += 1
        write(path, dict(header), {key: one for key, one in tensors.items() if key != name})
        assert used_or_refused(path, rule) or name.startswith("attached.")
    assert tried > 60
    for name in ("layers.2.matrix", "layers.00.matrix", "layers.-1.matrix", "layers.0.norm", "x", "attached.\x1b", ""):
        if name not in tensors:
            write(path, dict(header), {**tensors, name: torch.ones(1, 2, 8)})
            assert used_or_refused(path, rule), name


def test_counts_contradict_neither_each_other_nor_the_model(tmp_path: Path) -> None:
    header, tensors = honest()
    path = tmp_path / "state.safetensors"
    for tokens, segments in ((35, 0), (35, 33), (2, 1), (3, 0), (10_000, 4), (0, 0), (35, 3)):
        write(path, {**header, "tokens": tokens, "segments": segments}, tensors)
        assert used_or_refused(path, "deltanet"), (tokens, segments)
    for ids in ([VOCABULARY], [-1], [1] * 33):
        write(path, {**header, "tokens": 32 + len(ids)}, {**tensors, "open_ids": torch.tensor(ids)})
        assert used_or_refused(path, "deltanet"), ids


def test_a_norm_that_leaves_nothing_to_divide_by_is_refused(tmp_path: Path) -> None:
    header, tensors = honest("linear")
    for value in (0.0, -1.0, 1e-38):
        name = "layers.0.norm"
        write(tmp_path / "s.safetensors", dict(header), {**tensors, name: torch.full_like(tensors[name], value)})
        assert used_or_refused(tmp_path / "s.safetensors", "linear")


def odd_tensors() -> dict[str, Callable[[], Tensor]]:
    """Tensors of torch's own that are no plain ones."""
    return {
        "sparse": lambda: torch.eye(8).expand(1, 2, 8, 8).contiguous().to_sparse(),
        "quantised": lambda: torch.quantize_per_tensor(torch.ones(1, 2, 8, 8), 0.1, 0, torch.qint8),
        "nested": lambda: torch.nested.nested_tensor([torch.ones(2, 8), torch.ones(3, 8)]),
        "complex": lambda: torch.ones(1, 2, 8, 8, dtype=torch.complex64).conj(),
        "meta": lambda: torch.ones(1, 2, 8, 8, device="meta"),
        "expanded": lambda: torch.ones(1, 1, 1, 1).expand(1, 30_000, 1_000, 1_000),
        "parameter": lambda: torch.nn.Parameter(torch.ones(1, 2, 8, 8)),
        "graded": lambda: torch.ones(1, 2, 8, 8, requires_grad=True),
        "strided": lambda: torch.ones(1, 2, 8, 16)[..., ::2],
    }


@pytest.mark.parametrize("kind", odd_tensors())
def test_tensors_that_are_not_plain_are_refused(kind: str, tmp_path: Path) -> None:
    header, tensors = honest()
    write(tmp_path / "s.pt", dict(header), {**tensors, "layers.0.matrix": odd_tensors()[kind]()}, sealed=False)
    assert used_or_refused(tmp_path / "s.pt", "deltanet")


def deep(opening: str, closing: str, depth: int = 200_000) -> str:
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    "header",
    [deep("[", "]"), deep('{"a":', "}"), "[" * 100_000, "1" * 100_000, '"\\ud800"', "NaN", '{"format": "infini.state"'],
)
def test_headers_that_break_parsers_are_refused(header: str, tmp_path: Path) -> None:
    for form in ("pt", "safetensors"):
        write(tmp_path / f"s.{form}", header, honest()[1])
        assert used_or_refused(tmp_path / f"s.{form}", "deltanet")


def texts_of_strangers() -> list[bytes]:
    value: dict[str, Any] = {"version": 2, "sources": [{"name": "a", "blocks": [["One.", 1, None, None]]}]}
    changes = [
        json.dumps(changed(value, place, strange)).encode()
        for place in places(value)
        for strange in STRANGE
        if strange != 10**400
    ]
    return [*changes, b"", b"{}", b"null", b"[" * 100_000, b'{"version": 2}', b"\xff\xfe"]


def test_the_text_in_a_state_is_checked_with_the_state(tmp_path: Path) -> None:
    header, tensors = honest()
    refused = 0
    raw = texts_of_strangers()
    compressed = [*map(zlib.compress, raw), b"no zlib", zlib.compress(b"{}")[:-2], zlib.compress(raw[0]) + b"more"]
    for content in compressed:
        stored = {**tensors, "attached.text": torch.frombuffer(bytearray(content), dtype=torch.uint8)}
        write(tmp_path / "s.safetensors", dict(header), stored)
        refused += used_or_refused(tmp_path / "s.safetensors", "deltanet")
    assert refused > 0.8 * len(compressed) > 100


def test_more_text_than_a_state_carries_is_told_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_TEXT", 10_000)
    monkeypatch.setattr(kept, "MOST_BLOCKS", 100)
    check_room([KeptText.of("a", "word " * 1000)])
    for texts in ([KeptText.of("a", "word " * 2_100)], [KeptText.of("a", "x\n\n" * 101)]):
        with pytest.raises(InfiniError, match="more than a state carries"):
            check_room(texts)
        with pytest.raises(StateError):
            unpack(pack(texts))


def test_nothing_is_saved_that_would_not_be_read(tmp_path: Path) -> None:
    engine = Engine(model_of("deltanet"))
    engine.read(text(4 * SEGMENT)[0])
    state = engine.snapshot(ORIGIN)
    state.tensors["layers.0.matrix"].fill_(float("nan"))
    with pytest.raises(StateError):
        state.save(tmp_path / "s.pt")
    assert not list(tmp_path.iterdir())


def bomb(kind: str, path: Path) -> None:
    """A small file that would take gigabytes."""
    header, tensors = honest()
    if kind == "text":
        stored = {"attached.text": torch.frombuffer(bytearray(zlib.compress(bytes(400_000_000), 1)), dtype=torch.uint8)}
        write(path, dict(header), {**tensors, **stored})
    elif kind == "blocks":
        content = b'{"version": 2, "sources": [{"name": "a", "blocks": [' + b'["a"],' * 3_900_000 + b'["a"]]}]}'
        stored = {"attached.text": torch.frombuffer(bytearray(zlib.compress(content)), dtype=torch.uint8)}
        write(path, dict(header), {**tensors, **stored})
    elif kind == "header":
        write(path, '{"format": "infini.state", "version": 1, "x": [' + "{}," * 1_300_000 + "{}]}", tensors)
    elif kind == "deflated":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("s/data.pkl", pickle.dumps({}, protocol=2))
            archive.writestr("s/data/0", bytes(400_000_000), compresslevel=1)
    else:
        calls = {
            "bytes": b"c__builtin__\nbytearray\n(J\x00\x00\x00\x70tR.",
            "storage": b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
            b"J\x00\x00\x00\x20tQt.",
            "tuples": b")" + b"\x85" * 3_000_000 + b"}\x85.",
        }
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("s/data.pkl", b"\x80\x02" + calls[kind])
            archive.writestr("s/version", "3\n")
            archive.writestr("s/data/0", bytes(64))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells how much memory was taken")
@pytest.mark.parametrize("kind", ["text", "blocks", "header", "deflated", "bytes", "storage", "tuples"])
def test_no_state_takes_much_memory(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    bomb(kind, path)
    code = (
        "import sys, time; from pathlib import Path; import infini_attention.memory.state\n"
        "from infini_attention.errors import StateError; from infini_attention.text.kept import load_state\n"
        # The most so far, in kB; what getrusage tells is also of the process that started this one.
        "def most(): return int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])\n"
        "before, start = most(), time.monotonic()\n"
        "try: load_state(Path(sys.argv[1]))\n"
        "except StateError: print(most() - before, time.monotonic() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    grown, seconds = map(float, done.stdout.split())
    assert grown * 1024 < 200e6 and seconds < 10, (kind, grown, seconds)
