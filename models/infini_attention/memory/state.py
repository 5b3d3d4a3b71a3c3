"""MemoryState: what was read, as a small file that can be saved, checked and gone on from.

A file is a plain dict of tensors and one JSON header, as ``.pt`` (loaded with ``weights_only=True``, nothing else is
accepted) or ``.safetensors``; which of the two is told by its content, not by its name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from ..errors import StateError
from ..files import atomic_writer
from .cipher import StateCipher
from .state_file import HEADER, MOST_FILE, damaged, unpack
from .state_header import MOST_HEADER, kind_of, read_header
from .state_tensors import ATTACHED, BEHIND, OPEN_IDS, check_tensors

FORMAT = "infini.state"
VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """The model that a state belongs to.

    Attributes:
        model: its name, as people load it.
        base: fingerprint of the base weights.
        adapter: fingerprint of the memory path's tensors.
        config: digest of the memory path's configuration.
        formerly: adapter and config of the very same weights and configuration under the names that their parts had before;
            no part of what is written.
    """

    model: str
    base: str
    adapter: str
    config: str
    formerly: tuple[tuple[str, str], ...] = dataclasses.field(default=(), compare=False, repr=False)

    def to_dict(self) -> dict[str, str]:
        """What a state's header holds of it."""
        return {name: getattr(self, name) for name in ("model", "base", "adapter", "config")}


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A document that was read.

    Attributes:
        name: as shown to people.
        kind: ``pdf``, ``text``, ``markdown`` and so on.
        sha256: of its bytes.
        pages: pages that were read, for kinds that have pages.
        tokens: tokens that it gave.
        extractor: what turned it into text, with its version.
    """

    name: str
    kind: str
    sha256: str
    pages: int | None
    tokens: int
    extractor: str


@dataclasses.dataclass(slots=True)
class MemoryState:
    """Everything that an engine needs to go on as if it had not stopped.

    Attributes:
        origin: the model that it belongs to.
        tokens: tokens read, the open segment's included.
        segments: segments closed.
        tensors: ``layers.N.matrix`` ``[1, H, D, V]`` float32, under the paper's rules ``layers.N.norm`` ``[1, H, D]``,
            and ``open_ids`` int64, the tokens of the open segment; where n-grams are seen, ``behind`` ``[n, H, D]`` int8, the
            signs of the tokens just before them.
        sources: documents read, in order.
        attachments: bytes that travel along by name, none of them empty, such as the text that was read.
        cipher: encrypts it when it is saved; no part of what is written.
    """

    origin: Origin
    tokens: int
    segments: int
    tensors: dict[str, Tensor]
    sources: tuple[Source, ...] = ()
    attachments: dict[str, bytes] = dataclasses.field(default_factory=dict)
    cipher: StateCipher | None = dataclasses.field(default=None, compare=False, repr=False)

    def require(self, origin: Origin) -> None:
        """Refuses a model that the state does not belong to.

        Raises:
            StateError: base, adapter or configuration differ.
        """
        own = self.origin
        if (own.adapter, own.config) in origin.formerly:
            own = dataclasses.replace(own, adapter=origin.adapter, config=origin.config)
        for part in ("base", "adapter", "config"):
            if getattr(own, part) != getattr(origin, part):
                if self.origin.model == origin.model:
                    raise StateError(
                        f"the state was written by {origin.model} with another {part}",
                        "read the document again: memories do not carry over",
                    )
                raise StateError(
                    f"the state belongs to model {self.origin.model}, not to {origin.model} (their {part} differs)",
                    f"name the model that wrote it with --model, or read the document again with {origin.model}",
                )

    @property
    def memory_bytes(self) -> int:
        """Size of the memories, in bytes; the same whatever was read."""
        return sum(t.numel() * t.element_size() for name, t in self.tensors.items() if name not in (OPEN_IDS, BEHIND))

    def stored(self) -> dict[str, Tensor]:
        """Everything but the header, as a file holds it."""
        attached = {
            ATTACHED + name: torch.frombuffer(bytearray(content), dtype=torch.uint8)
            for name, content in self.attachments.items()
        }
        return {**self.tensors, **attached}

    def header(self) -> dict[str, Any]:
        """Everything but tensors and attachments, as plain JSON values, with a digest over all."""
        header = {
            "format": FORMAT,
            "version": VERSION,
            "origin": self.origin.to_dict(),
            "tokens": self.tokens,
            "segments": self.segments,
            "sources": [dataclasses.asdict(source) for source in self.sources],
        }
        return {**header, "digest": _digest(header, self.stored())}

    def save(self, path: Path, *, scratch: Path | None = None) -> None:
        """Writes the state, whole or not at all; mode 0600.

        Args:
            path: ``.safetensors`` gives that format, any other name ``.pt``'s. What is encrypted has a form of its own.
            scratch: see ``atomic_writer``.

        Raises:
            InfiniError: it could not be written, or would not be read again; what stood at ``path`` before is intact.
        """
        text = json.dumps(self.header())
        tensors = {name: tensor.contiguous() for name, tensor in self.stored().items()}
        try:
            read_header(text)
            check_tensors(tensors, self.tokens, self.segments)
        except ValueError as error:
            raise StateError(f"this cannot be saved as a state: {error}", "read the documents again") from error
        if path.suffix == ".safetensors" and self.cipher is None:
            content = save_safetensors(tensors, {HEADER: text})
        else:
            buffer = io.BytesIO()
            torch.save({HEADER: text, "tensors": tensors}, buffer)
            content = buffer.getvalue() if self.cipher is None else self.cipher.encrypt(buffer.getvalue())
        if len(text) > MOST_HEADER or len(content) > MOST_FILE:
            raise StateError(
                f"{path} would be larger than a state can be", "read fewer documents into one state, or use --no-text"
            )
        # What somebody read is nobody else's business.
        with atomic_writer(path, binary=True, private=True, scratch=scratch) as file:
            file.write(content)

    @classmethod
    def load(cls, path: Path, cipher: StateCipher | None = None) -> MemoryState:
        """Reads a state and verifies it: that it is whole, and that it holds nothing that no reading gives.

        Args:
            path: the file.
            cipher: opens it, if it is encrypted; the state is encrypted again when it is saved then.

        Raises:
            LockedState: it is encrypted, and the cipher does not open it.
            StateError: it is no state, damaged, altered, or of a version that this library does not know.
        """
        text, tensors, encrypted = unpack(path, cipher)
        try:
            form, version = kind_of(text)
            if form != FORMAT:
                raise StateError(f"{path} is not a memory state", "make one with: infini read FILE -o state.pt")
            if version != VERSION:
                raise StateError(
                    f"{path} is a memory state of version {version}; this release knows {VERSION}",
                    "read the document again, or use the release that wrote the state",
                )
            header = read_header(text)
            check_tensors(tensors, header.tokens, header.segments)
        except (ValueError, RecursionError) as error:
            raise damaged(path) from error
        if header.digest != _digest(header.digested(), tensors):
            raise damaged(path)
        fields = header.digested()
        return cls(
            Origin(**fields["origin"]),
            header.tokens,
            header.segments,
            {name: tensor for name, tensor in tensors.items() if not name.startswith(ATTACHED)},
            tuple(Source(**source) for source in fields["sources"]),
            {
                name.removeprefix(ATTACHED): tensor.numpy().tobytes()
                for name, tensor in tensors.items()
                if name.startswith(ATTACHED)
            },
            cipher if encrypted else None,
        )


def _digest(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    total.update(fingerprint(tensors).encode())
    return total.hexdigest()


def fingerprint(tensors: dict[str, Tensor]) -> str:
    """SHA-256 (hex) over names, dtypes, shapes and bytes of tensors, whatever their order."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
