"""Device and dtype: chosen from what the machine has, with the reason."""

from __future__ import annotations

import resource
import sys
from typing import NamedTuple

import torch

from ..errors import DeviceUnavailable
from ..memory.int8_weights import supported
from ..memory.stand_ins import FLOAT32, INT8, WEIGHTS

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Placement(NamedTuple):
    """Where a model runs, in which dtype, and why (one line for people)."""

    device: torch.device
    dtype: torch.dtype
    reason: str


def choose(device: str = "auto", dtype: str = "auto") -> Placement:
    """Picks the device and dtype to run on.

    Args:
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        dtype: ``auto``, ``bf16``, ``fp16`` or ``fp32``. Memories are float32 whatever is chosen.

    Raises:
        DeviceUnavailable: the device named is not there, or a name is unknown.
    """
    place, reason = _device(device)
    if dtype == "auto":
        chosen, why = _dtype(place)
        return Placement(place, chosen, f"{reason}; {why}")
    if dtype not in DTYPES:
        raise DeviceUnavailable(f"unknown dtype {dtype!r}", f"use auto, {', '.join(DTYPES)}")
    return Placement(place, DTYPES[dtype], f"{reason}; {dtype} as asked")


def choose_weights(weights: str, placement: Placement) -> str | None:
    """What single tokens of an answer are multiplied with.

    Args:
        weights: ``auto``, ``float32`` or ``int8``.
        placement: where the model runs.

    Returns:
        One of ``stand_ins.WEIGHTS``; ``None`` where the model does not run in float32 on a processor, and decodes with what it
        has.

    Raises:
        DeviceUnavailable: ``int8`` is asked for where it cannot be had, or a name is unknown.
    """
    if weights not in ("auto", *WEIGHTS):
        raise DeviceUnavailable(f"unknown weights {weights!r}", f"use auto, {' or '.join(WEIGHTS)}")
    fitting = placement.device.type == "cpu" and placement.dtype is torch.float32
    if weights == INT8 and not (fitting and supported()):
        raise DeviceUnavailable(
            "weights in 8 bits are for float32 on an x86 processor with AVX2",
            "leave --weights out, or use --device cpu --dtype fp32 on such a processor",
        )
    if not fitting:
        return None
    return INT8 if weights == INT8 or (weights == "auto" and supported()) else FLOAT32


def _device(name: str) -> tuple[torch.device, str]:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), f"cuda: {torch.cuda.get_device_name()}"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "mps: no CUDA device, Apple GPU present"
        return torch.device("cpu"), "cpu: no CUDA or Apple GPU present"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise DeviceUnavailable(f"unknown device {name!r}", "use auto, cpu, mps, cuda or cuda:N")
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise DeviceUnavailable(f"device {name} is not there: {count} CUDA devices found", "use --device auto or cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceUnavailable("device mps is not there: no Apple GPU found", "use --device auto or cpu")
    return device, f"{name} as asked"


def _dtype(device: torch.device) -> tuple[torch.dtype, str]:
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, "bf16: the GPU has it"
        return torch.float32, "fp32: the GPU has no bf16"
    if device.type == "mps":
        return torch.float16, "fp16: fast on Apple GPUs"
    if _cpu_has_bf16():
        return torch.bfloat16, "bf16: the processor has it"
    return torch.float32, "fp32: the processor has no bf16 arithmetic"


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def peak_bytes(device: torch.device) -> int:
    """Most memory that was in use at once so far: of a GPU that counts it, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
