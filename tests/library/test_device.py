"""The choice of device and dtype, with its reason; an explicit device that is absent is an error."""

from __future__ import annotations

import pytest
import torch
from infini_attention.errors import DeviceUnavailable
from infini_attention.model.device import choose


class Machine:
    """Pretends what the machine has."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.has()

    def has(self, *, cuda: int = 0, mps: bool = False, gpu_bf16: bool = True, cpu: tuple[str, ...] = ()) -> None:
        self.patch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        self.patch.setattr(torch.cuda, "device_count", lambda: cuda)
        self.patch.setattr(torch.cuda, "get_device_name", lambda *args: "A GPU")
        self.patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: gpu_bf16)
        self.patch.setattr(torch.backends.mps, "is_available", lambda: mps)
        self.patch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(cpu, True))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_auto_prefers_cuda_then_mps_then_the_processor(machine: Machine) -> None:
    machine.has(cuda=1, mps=True)
    chosen = choose()
    assert (chosen.device.type, chosen.dtype) == ("cuda", torch.bfloat16)
    assert "A GPU" in chosen.reason and "bf16" in chosen.reason
    machine.has(mps=True)
    chosen = choose()
    assert (chosen.device.type, chosen.dtype) == ("mps", torch.float16)
    assert "Apple" in chosen.reason
    machine.has()
    chosen = choose()
    assert (chosen.device.type, chosen.dtype) == ("cpu", torch.float32)
    assert "no CUDA or Apple GPU" in chosen.reason and "no bf16" in chosen.reason


@pytest.mark.parametrize("capability", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_processor_with_bf16_uses_it(machine: Machine, capability: str) -> None:
    machine.has(cpu=(capability, "avx2"))
    assert choose("cpu").dtype == torch.bfloat16
    machine.has(cpu=("avx2", "avx512_f"))
    assert choose("cpu").dtype == torch.float32


def test_a_gpu_without_bf16_uses_float32(machine: Machine) -> None:
    machine.has(cuda=1, gpu_bf16=False)
    chosen = choose("cuda")
    assert chosen.dtype == torch.float32 and "no bf16" in chosen.reason


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_named_device_that_is_absent_is_an_error_and_never_the_processor(machine: Machine, name: str) -> None:
    with pytest.raises(DeviceUnavailable, match=f"{name} is not there") as caught:
        choose(name)
    assert caught.value.exit_code == 2
    assert "cpu" in caught.value.hint


def test_a_second_gpu_must_be_there_too(machine: Machine) -> None:
    machine.has(cuda=2)
    assert choose("cuda:1").device == torch.device("cuda:1")
    with pytest.raises(DeviceUnavailable, match="2 CUDA devices"):
        choose("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cuda:-1", "meta", "xpu", "cpu:x"])
def test_an_unknown_device_is_an_error(machine: Machine, name: str) -> None:
    machine.has(cuda=1)
    with pytest.raises(DeviceUnavailable, match="unknown device"):
        choose(name)


@pytest.mark.parametrize(
    ("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)]
)
def test_a_named_dtype_is_taken_as_asked(machine: Machine, name: str, dtype: torch.dtype) -> None:
    chosen = choose("cpu", name)
    assert chosen.dtype == dtype
    assert chosen.reason == f"cpu as asked; {name} as asked"


def test_an_unknown_dtype_is_an_error(machine: Machine) -> None:
    with pytest.raises(DeviceUnavailable, match="unknown dtype 'int8'"):
        choose("cpu", "int8")
