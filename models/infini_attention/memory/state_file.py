"""State files from strangers: taken apart within bounds, and nothing in them executed."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import StateError
from .cipher import MAGIC, StateCipher, is_encrypted, opened
from .state_header import MOST_HEADER

HEADER = "header"
# Bytes of a file; the memories of the largest bases in use take half of it.
MOST_FILE = 128 << 20

_MAKE = "make one with: infini read FILE -o state.pt"
_MEMBER = re.compile(
    r"[^/]+/(data\.pkl|byteorder|version|\.format_version|\.storage_alignment|\.data/serialization_id|data/\d+)"
)
# What torch.save makes of a dict of tensors, and nothing else. Pickle's other ways to make objects would have to be trusted;
# those that torch allows hold some that take any amount of memory.
_GLOBALS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}Storage" for kind in ("Float", "Long", "Char", "Byte")),
}
_STEPS = {
    *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BINPERSID", "EMPTY_DICT", "SETITEM", "SETITEMS", "BINUNICODE"),
    *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "BININT", "BININT1", "BININT2", "LONG1", "NEWFALSE"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
}
# A tensor takes about forty.
_MOST_STEPS = 50_000
# No memory, token id or size has more axes; deeper tuples are made to break what walks them.
_MOST_TUPLES = 12_000


class Unpacked(NamedTuple):
    """What a state file holds: its header as JSON, its tensors, and whether that was encrypted."""

    header: str
    tensors: dict[str, Tensor]
    encrypted: bool


def unpack(path: Path, cipher: StateCipher | None = None) -> Unpacked:
    """Header and tensors of a state file; which of its forms it has is told by its content.

    Nothing has been checked then but that these are a text and tensors that the file itself holds.

    Args:
        path: the file.
        cipher: opens it, if it is encrypted.

    Raises:
        LockedState: it is encrypted, and the cipher does not open it.
        StateError: it is no state, damaged, or larger than any.
    """
    try:
        with path.open("rb") as file:
            return _unpacked(path, file, cipher)
    except pickle.UnpicklingError as error:
        raise StateError(
            f"{path} is not a memory state: it holds objects other than tensors, which were not loaded",
            "do not open files of unknown origin; make a state with: infini read FILE -o state.pt",
        ) from error
    except StateError:
        raise
    except OSError as error:
        raise StateError(f"cannot read the state {path}: {error.strerror or error}", _MAKE) from error
    except Exception as error:
        # What a flipped byte makes zipfile, zlib, torch or safetensors raise has no common type.
        raise damaged(path) from error


def _unpacked(path: Path, file: BinaryIO, cipher: StateCipher | None) -> Unpacked:
    start, size = file.read(len(MAGIC)), file.seek(0, 2)
    if size > MOST_FILE:
        raise StateError(f"{path} has {size:,} bytes; no state has more than {MOST_FILE:,}", _MAKE)
    if is_encrypted(start):
        file.seek(0)
        content = opened(path, file.read(), cipher)
        return Unpacked(*_of_zip(io.BytesIO(content), len(content)), True)
    if start[:2] == b"PK":
        return Unpacked(*_of_zip(file, size), False)
    if start[8:9] == b"{":
        return Unpacked(*_of_safetensors(path, start), False)
    raise StateError(f"{path} is not a memory state", _MAKE)


def damaged(path: Path) -> StateError:
    """What is said of a file that no reading gives."""
    return StateError(
        f"the state {path} is damaged: cut short or altered", "restore it from a copy, or read the document again"
    )


def _of_zip(file: BinaryIO, size: int) -> tuple[str, dict[str, Tensor]]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        names = {member.filename for member in members}
        # Stored as they are, side by side and each once: nothing unfolds to more than the file.
        stored = all(
            member.compress_type == zipfile.ZIP_STORED and member.compress_size == member.file_size
            for member in members
        )
        if (
            not stored
            or len(names) != len(members)
            or sum(member.file_size for member in members) > size
            or len({name.partition("/")[0] for name in names}) != 1
        ):
            raise ValueError("the archive is not laid out as torch lays it out")
        pickles = [member for member in members if member.filename.endswith(".pkl")]
        if any(member.file_size > 2 * MOST_HEADER for member in pickles):
            raise ValueError("the structure takes more room than any")
        for member in pickles:
            _check_pickle(archive.read(member), size)
        if not all(_MEMBER.fullmatch(name) for name in names):
            raise ValueError("there is a file in the archive that torch does not write")
        # Checks the CRC of every member before anything is unpickled.
        if archive.testzip() is not None:
            raise ValueError("a member is not what it was")
    file.seek(0)
    loaded: Any = torch.load(file, map_location="cpu", weights_only=True)
    text, tensors = loaded[HEADER], loaded["tensors"]
    if not isinstance(text, str) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in tensors.items()
    ):
        raise ValueError("a state is a text and tensors")
    return text, dict(tensors)


def _check_pickle(content: bytes, size: int) -> None:
    """Refuses what makes anything but a dict of texts and tensors, before it is followed.

    Raises:
        UnpicklingError: it would make other objects.
        ValueError: it is no pickle, or one with sizes beyond the file's.
    """
    tuples = 0
    for number, (step, argument, _) in enumerate(pickletools.genops(content)):
        tuples += step.name.startswith("TUPLE")
        if step.name not in _STEPS or (step.name == "GLOBAL" and argument not in _GLOBALS):
            raise pickle.UnpicklingError(f"{step.name} {argument}")
        if (isinstance(argument, int) and not 0 <= argument <= size) or number > _MOST_STEPS or tuples > _MOST_TUPLES:
            raise ValueError("the structure is larger than its file")


def _of_safetensors(path: Path, start: bytes) -> tuple[str, dict[str, Tensor]]:
    if int.from_bytes(start[:8], "little") > 4 * MOST_HEADER:
        raise ValueError("the header takes more room than any")
    with safe_open(str(path), framework="pt") as archive:
        text = (archive.metadata() or {})[HEADER]
        return text, {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
