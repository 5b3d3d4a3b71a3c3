"""States of every release are read for ever, and the written format is enough to read them."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from infini_attention.documents import Block
from infini_attention.memory.cipher import StateCipher
from infini_attention.memory.engine import Engine
from infini_attention.memory.state import FORMAT, VERSION, MemoryState, Origin
from infini_attention.text.kept import ATTACHMENT, load_state, unpack

from models import SEGMENT, memory_model, text

FOLDER = Path(__file__).parents[1] / "data" / "states"
DIGESTS: dict[str, dict[str, Any]] = json.loads((FOLDER / "digests.json").read_text())
PASSPHRASE = "open sesame"
ORIGIN = Origin("tiny", "b" * 8, "a" * 8, "c" * 8)
# Which path wrote those of whose memory there is more to tell.
PATHS: dict[str, dict[str, Any]] = {
    "1-linear.pt": {"update_rule": "linear"},
    "1-delta.pt": {"update_rule": "delta"},
    "1-ngrams.pt": {"ngrams": (2, 3)},
    "1-encrypted-1.pt": {"ngrams": (2, 3)},
}


def read(name: str) -> MemoryState:
    return load_state(FOLDER / name, StateCipher(PASSPHRASE))


def test_the_corpus_is_whole() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*DIGESTS, "digests.json"}


@pytest.mark.parametrize("name", DIGESTS)
def test_an_old_state_is_read_and_gone_on_from(name: str) -> None:
    state = read(name)
    header = state.header()
    assert {key: header[key] for key in DIGESTS[name]} == DIGESTS[name]
    if name.startswith(("1-text", "1-encrypted")):
        label = None if name == "1-text-1.pt" else "iii"
        (kept,) = unpack(state.attachments[ATTACHMENT])
        assert kept.blocks == (Block("Marta found a letter.", 3, "2. The Mill", label), Block("It rained."))
    path = {"update_rule": "deltanet", **PATHS.get(name, {})}
    engine = Engine(memory_model(dtype=torch.float32, **path))
    engine.restore(state, ORIGIN)
    engine.read(text(SEGMENT)[0])
    assert engine.snapshot(ORIGIN).segments == state.segments + 1
    # What it was made of is read again: the same numbers, as near as another release of torch has them.
    again = Engine(engine.model)
    again.read(text(state.tokens)[0])
    for key, tensor in again.snapshot(ORIGIN).tensors.items():
        torch.testing.assert_close(state.tensors[key], tensor, rtol=1e-3, atol=1e-4)


def by_the_book(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """A state read as docs/state-format.md has it, with nothing of ours."""
    content = path.read_bytes()
    if content.startswith(b"infini-encrypted-state\x01"):
        salt, nonce = content[23:39], content[39:51]
        key = hashlib.scrypt(PASSPHRASE.encode(), salt=salt, n=65_536, r=8, p=2, maxmem=1 << 28, dklen=32)
        content = AESGCM(key).decrypt(nonce, content[51:], content[:39])
    if content.startswith(b"PK"):
        import io

        loaded = torch.load(io.BytesIO(content), weights_only=True)
        return json.loads(loaded["header"]), loaded["tensors"]
    from safetensors import safe_open

    with safe_open(str(path), "pt") as archive:
        tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        return json.loads(archive.metadata()["header"]), tensors


@pytest.mark.parametrize("name", DIGESTS)
def test_the_written_format_is_enough_to_read_a_state(name: str) -> None:
    header, tensors = by_the_book(FOLDER / name)
    over = hashlib.sha256()
    for key in sorted(tensors):
        over.update(f"{key}:{tensors[key].dtype}:{tuple(tensors[key].shape)};".encode())
        over.update(tensors[key].numpy().tobytes())
    rest = {key: value for key, value in header.items() if key != "digest"}
    text_of = json.dumps(rest, sort_keys=True) + over.hexdigest()
    assert header["digest"] == hashlib.sha256(text_of.encode()).hexdigest() == DIGESTS[name]["digest"]
    kept = tensors.get("attached.text")
    if kept is not None:
        value = json.loads(zlib.decompress(kept.numpy().tobytes()))
        assert value["sources"][0]["blocks"][0][0] == "Marta found a letter."
    book = (FOLDER.parents[2] / "docs" / "state-format.md").read_text(encoding="utf-8")
    assert f"`{FORMAT}`, version {VERSION}" in book
    assert all(f"`{key}`" in book for key in header if key != "origin")
    assert all(re.sub(r"\.\d+\.", ".L.", key).replace("attached.text", "attached.NAME") in book for key in tensors)


def test_what_is_written_now_is_what_was_written_then(tmp_path: Path) -> None:
    for name in ("1-deltanet.pt", "1-deltanet.safetensors"):
        state = read(name)
        state.save(tmp_path / name)
        assert by_the_book(tmp_path / name)[0] == by_the_book(FOLDER / name)[0]
