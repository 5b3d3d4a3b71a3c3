"""Settings that all tests share: one thread, and draws that are the same in every run."""

from __future__ import annotations

import os
import signal

# Work in the background of a shell that has no jobs ignores Ctrl-C, and so would every program that a test starts.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

settings.register_profile(
    "infini",
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("infini")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs the default model where its weights are not; nothing is ever fetched for a test."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    if not slow:
        return
    from infini_attention.model import recipe as recipes
    from infini_attention.model import weights as base

    if base.local_path(recipes.find(recipes.DEFAULT).base) is None:
        for item in slow:
            item.add_marker(pytest.mark.skip(reason="the default model's weights are not here"))


@pytest.fixture(autouse=True)
def denormals() -> None:
    """Each test starts with denormal numbers as they are by default; a test before it may have loaded a model."""
    torch.set_flush_denormal(False)
