"""Ways to spoil a state that know what a state is made of: header, tensors, archive, pickle."""

from __future__ import annotations

import copy
import io
import json
import random
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from infini_attention.memory.state import MemoryState, _digest
from infini_attention.memory.state_file import HEADER
from safetensors.torch import save as save_safetensors
from torch import Tensor

STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 1.5, 2**53, 2**63, 10**40, "", "x" * 5000, "\x1b[31m", "\ud800", [], {}, [[]], {"a": 1}),
    *("NaN", "../../etc/passwd", "./model", [None] * 1000),
)
DTYPES = (torch.float64, torch.float16, torch.complex64, torch.bool, torch.int32, torch.uint8, torch.int64, torch.int8)
# What a pickle could be made to call.
CALLS = (
    b"cos\nsystem\n(X\x04\x00\x00\x00truetR0",
    b"cposix\nmkdir\n(X\x07\x00\x00\x00trappedtR0",
    b"c__builtin__\neval\n(X\x03\x00\x00\x001+1tR0",
    b"cbuiltins\nexec\n(X\x01\x00\x00\x001tR0",
    b"csubprocess\nPopen\n(X\x04\x00\x00\x00truetR0",
    b"ctorch.hub\nload\n(X\x01\x00\x00\x00xtR0",
    b"c__builtin__\nbytearray\n(J\x00\x00\x00\x70tR0",
    b"ctorch._utils\n_rebuild_tensor_v2\n0",
    b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R0",
    b"X\x01\x00\x00\x00aX\x01\x00\x00\x00b\x93\x81b",
    b"\x82\x01",
    b"]" * 40,
    b")" + b"\x85" * 400 + b"0",
)


def parts(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and all tensors of a whole state."""
    state = MemoryState.load(path)
    return state.header(), {name: tensor.clone() for name, tensor in state.stored().items()}


def packed(header: Any, tensors: dict[str, Tensor], form: str, *, sealed: bool) -> bytes:
    """A file of these, with a digest that is right where it can be."""
    if sealed and isinstance(header, dict):
        header = {key: value for key, value in header.items() if key != "digest"}
        try:
            header["digest"] = _digest(header, tensors)
        except (RuntimeError, TypeError, NotImplementedError, UnicodeEncodeError):
            header["digest"] = "0" * 64
    text = header if isinstance(header, str) else json.dumps(header)
    if form == ".safetensors":
        return save_safetensors({name: tensor.contiguous() for name, tensor in tensors.items()}, {HEADER: text})
    buffer = io.BytesIO()
    torch.save({HEADER: text, "tensors": tensors}, buffer)
    return buffer.getvalue()


def header(path: Path, draw: random.Random) -> bytes:
    """A field of the header changed, dropped or added; or its JSON broken."""
    fields, tensors = parts(path)
    if draw.random() < 0.2:
        text = json.dumps(fields)
        place = draw.randrange(len(text))
        broken = text[:place] + draw.choice(('"', "}", "[" * 3000, "\\ud800", "1e999", "NaN", "")) + text[place + 1 :]
        return packed(broken, tensors, path.suffix, sealed=False)
    for _ in range(draw.choice((1, 1, 3))):
        spots = list(places(fields))
        if not spots:
            break
        *way, last = draw.choice(spots)
        whole: Any = fields
        for key in way:
            whole = whole[key]
        if draw.random() < 0.15:
            del whole[last]
        elif draw.random() < 0.1 and isinstance(whole, dict):
            whole["more"] = copy.deepcopy(draw.choice(STRANGE))
        else:
            whole[last] = copy.deepcopy(draw.choice(STRANGE))
    return packed(fields, tensors, path.suffix, sealed=draw.random() < 0.7)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a header something can be changed."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in list(items):
        yield (*path, key)
        yield from places(part, (*path, key))


def tensors(path: Path, draw: random.Random) -> bytes:
    """A tensor of another type, shape or name, with values that no reading gives, dropped, or one too many."""
    fields, held = parts(path)
    name = draw.choice(sorted(held))
    tensor = held[name]
    kind = draw.randrange(7)
    if kind == 0:
        held[name] = tensor.to(torch.float32).to(draw.choice(DTYPES))
    elif kind == 1:
        held[name] = draw.choice((tensor[None], tensor[:0], tensor.flatten(), torch.cat([tensor, tensor])))
    elif kind == 2 and tensor.numel():
        flat = tensor.clone().reshape(-1)
        edges = [float("nan"), float("inf"), -float("inf"), 3e38, -1.0] if tensor.is_floating_point() else [-1, 120]
        flat[draw.randrange(len(flat))] = draw.choice(edges)
        held[name] = flat.reshape(tensor.shape)
    elif kind == 3:
        del held[name]
    elif kind == 4:
        held[name.replace("0", draw.choice(("7", "-1", "99999999999", "x", "..")))] = held.pop(name)
    elif kind == 5:
        held[draw.choice(("more", "layers.5.matrix", "attached.", "attached.x", "layers.0.norm"))] = torch.ones(4)
    else:
        held[name] = torch.randn(draw.choice(((3,), (1, 2, 3), (1, 2, 8, 8), (1, 4, 8), (2, 2, 2, 2, 2))))
    return packed(fields, held, path.suffix, sealed=draw.random() < 0.8)


def archives(path: Path, draw: random.Random) -> bytes:
    """The same members in an archive that is put together in another way."""
    data = path.read_bytes()
    if data[:2] != b"PK":
        return data[:8] + data[8:].replace(b'"F32"', draw.choice((b'"F64"', b'"BF16"', b'"XXX"')), 1)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    kind = draw.randrange(8)
    root = members[0][0].partition("/")[0]
    if kind == 0:
        members.append((draw.choice((f"{root}/code/x.py", f"{root}/../../x", "x", f"{root}/data/00", "/x")), b"1"))
    elif kind == 1:
        members.append(draw.choice(members))
    elif kind == 2:
        del members[draw.randrange(len(members))]
    elif kind == 3:
        draw.shuffle(members)
    elif kind == 4:
        number = draw.randrange(len(members))
        members[number] = (members[number][0], draw.randbytes(draw.choice((0, 1, 64, 4096))))
    elif kind == 5:
        number = draw.randrange(len(members))
        members[number] = (f"{root}/constants.pkl", members[number][1])
    elif kind == 6:
        members = [(name.replace(root, draw.choice(("other", "a/b", ""))), content) for name, content in members]
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if kind == 7 else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def pickles(path: Path, draw: random.Random) -> bytes:
    """The pickle in a ``.pt`` file with other steps in it; its CRC is right."""
    data = path.read_bytes()
    if data[:2] != b"PK":
        return draw.choice((b"\x80\x04", b"PK\x03\x04", b"")) + draw.choice(CALLS) + b"."
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    steps = members[name]
    for _ in range(draw.choice((1, 1, 2, 5))):
        place = draw.randrange(2, len(steps))
        steps = draw.choice(
            (
                steps[:place] + draw.choice(CALLS) + steps[place:],
                steps[:2] + draw.choice(CALLS) + steps[2:],
                steps[:place] + bytes([draw.randrange(256)]) + steps[place + 1 :],
                steps.replace(
                    b"_rebuild_tensor_v2", draw.choice((b"_rebuild_parameter", b"_rebuild_qtensor", b"x")), 1
                ),
                steps.replace(b"FloatStorage", draw.choice((b"DoubleStorage", b"ByteStorage", b"UntypedStorage")), 1),
                steps.replace(b"ctorch._utils\n", draw.choice((b"cos\n", b"ctorch\n", b"c\n")), 1),
                steps[:place] + b"." + steps[place:],
                steps[:place] + steps[place + draw.choice((1, 5, 40)) :],
            )
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for member, content in members.items():
            archive.writestr(member, steps if member == name else content)
    return buffer.getvalue()
