"""Numbers too small for full precision are flushed once a model is loaded: they make a processor many times slower."""

from __future__ import annotations

import platform

import pytest
import torch
from infini_attention.model.loading import load_model


def has_denormals() -> bool:
    return bool(torch.full((1000,), 1e-30).mul(1e-10).sum() > 0)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="torch can switch them off on x86 only")
@pytest.mark.slow
def test_loading_a_model_flushes_them() -> None:
    assert has_denormals()
    load_model(fetch=False)
    assert not has_denormals()
