"""A model of the hub, fetched whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import shutil
from pathlib import Path
from typing import Any

from ..errors import ModelUnavailable
from .spec import BaseSpec

# Numbers and texts; nothing that is run, no pickles.
_PATTERNS = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]


def snapshot(spec: BaseSpec, place: Path, target: Path) -> None:
    """Fetches a model of the hub.

    Args:
        spec: a base whose source is the hub.
        place: where it grows; after a break, the next try goes on there.
        target: where it is put once it is whole.

    Raises:
        ModelUnavailable: it cannot be fetched, or what came is no language model.
        OSError: it cannot be written.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    named: dict[str, Any] = {"repo_id": spec.name, "revision": spec.version, "allow_patterns": _PATTERNS}
    try:
        with contextlib.suppress(LocalEntryNotFoundError):
            # Another program of this person may have fetched it.
            shutil.copytree(snapshot_download(**named, local_files_only=True), place, dirs_exist_ok=True)
            place.rename(target)
            return
        snapshot_download(**named, local_dir=place, cache_dir=place / ".cache")
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        # What a hub, a mirror or a network's log-in page makes its client raise has no common type.
        raise ModelUnavailable(
            f"the model {spec.name} cannot be fetched from the model hub: {_reason(error)}",
            "check its name, the network and HF_HUB_OFFLINE, or pass --model FOLDER with weights you have",
        ) from error
    try:
        _require_model(place)
    except ModelUnavailable:
        shutil.rmtree(place, ignore_errors=True)
        raise
    shutil.rmtree(place / ".cache", ignore_errors=True)
    place.rename(target)


def _require_model(folder: Path) -> None:
    """Refuses a folder that holds no weights, or whose files are not what their names say."""
    from safetensors import SafetensorError, safe_open
    from transformers import AutoConfig, AutoTokenizer

    weights = sorted(folder.glob("*.safetensors"))
    try:
        if not weights:
            raise ValueError("there are no safetensors")
        AutoConfig.from_pretrained(folder)
        AutoTokenizer.from_pretrained(folder)
        for file in weights:
            with safe_open(str(file), framework="pt"):
                pass
    except Exception as error:
        if not isinstance(error, OSError | ValueError | KeyError | TypeError | AttributeError | SafetensorError):
            raise
        raise ModelUnavailable(
            f"what the hub gave for this name is no language model: {_reason(error)}",
            "it must hold safetensors, a configuration and a tokenizer; check its name",
        ) from error


def _reason(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
