"""`make torture`, with counts that take a minute: nothing is found that should not be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import ROOT, of_a_process

# Option values have a test of their own.
PARTS = ("documents", "kills", "states", "interrupts", "sockets", "soak", "privacy")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_let_in_and_nothing_is_lost(tmp_path: Path) -> None:
    parts = [word for part in PARTS for word in ("--part", part)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.torture", "--quick", "--output", str(tmp_path), *parts],
        cwd=ROOT,
        env=of_a_process(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "torture.json").read_text())["results"]
    assert len(results) == len(PARTS) and all(result["tried"] for result in results)
    assert done.stdout.count("\n| ") == len(PARTS)
