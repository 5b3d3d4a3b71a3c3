"""Many documents in several processes: the same states, whatever becomes of the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from batch_helpers import assert_same_states, records, serve_deadly, serve_nothing
from cli_helpers import OTHER, STORY, Infini, assert_error, of_a_process, write_recipe
from infini_attention import MemoryState

from infini_cli.batch import pool
from infini_cli.batch.worker import Job
from infini_cli.options import Reading


def test_processes_read_the_same(infini: Infini, library: Path, tmp_path: Path) -> None:
    (library / "torn.pdf").write_bytes(b"%PDF-1.7\n" + b"#" * 999)
    (library / "latin.txt").write_bytes(("Ça et là, déjà vu, un café. " * 30).encode("latin-1"))
    one, two = tmp_path / "one", tmp_path / "two"
    assert infini("read", library, "-o", f"{one}/").code == 6
    outcome = infini("read", library, "-o", f"{two}/", "--jobs", 2)
    assert_error(outcome, 6, "1 of 6 documents")
    # What a process noted is told once, and with its document.
    assert outcome.err.count("has no adapter") == 1
    assert "latin.txt: the encoding is a guess" in outcome.err
    assert "0.txt: " in outcome.err and "6 of 6: " in outcome.err
    assert_same_states(one, two)


def test_a_document_that_takes_its_process_down(
    infini: Infini, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_serve", serve_deadly)
    # As many as there are processes: they have to be replaced.
    for name in ("0-deadly.txt", "1-deadly.txt"):
        (library / name).write_text(STORY)
    assert_error(infini("read", library, "-o", f"{tmp_path}/s/", "--jobs", 2), 6, "2 of 6 documents")
    known = records(tmp_path / "s")
    assert len(known) == 6
    for name, line in known.items():
        assert (line["status"] == "error") == ("deadly" in name)
    bad = known["1-deadly.txt"]
    assert "signal 9" in bad["error"] and "--jobs" in bad["hint"] and len(bad["sha256"]) == 64


def test_no_model_for_the_processes(
    infini: Infini, library: Path, tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = write_recipe(tmp_path / "broken", base_folder)
    (broken / "adapter.safetensors").write_bytes(b"no tensors")
    command = ("read", library, "-o", f"{tmp_path}/s/", "--jobs", 2)
    assert_error(infini(*command, "--model", broken), 4, "adapter", "damaged")
    monkeypatch.setattr(pool, "_serve", serve_nothing)
    assert_error(infini(*command), 1, "ended with status 3 while it loaded the model")
    assert (tmp_path / "s" / "manifest.jsonl").read_text() == ""


def test_gpus_take_turns() -> None:
    def devices(device: str, gpus: int) -> list[str]:
        job = Job(Path("states"), Reading(device=device))
        return [pool.on_device(job, index, gpus).settings.device for index in range(3)]

    assert devices("auto", 2) == devices("cuda", 2) == ["cuda:0", "cuda:1", "cuda:0"]
    assert devices("auto", 1) == devices("auto", 0) == ["auto"] * 3
    assert devices("cpu", 2) == ["cpu"] * 3
    assert devices("cuda:1", 2) == ["cuda:1"] * 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_interrupt(tmp_path: Path, model: str, library: Path, jobs: int) -> None:
    folder = tmp_path / "states"
    (library / "long.txt").write_text(STORY * 400)
    (library / "long2.txt").write_text(OTHER * 400)
    (tmp_path / "config.toml").write_text("")
    own = {"INFINI_CONFIG": str(tmp_path / "config.toml"), "INFINI_MODEL": model}
    environment = of_a_process(**own, INFINI_DEVICE="cpu", INFINI_DTYPE="fp32")
    command = [sys.executable, "-m", "infini_cli", "read", str(library), "-o", f"{folder}/", "--jobs", str(jobs)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        assert process.stderr
        seen = ""
        for line in process.stderr:
            seen += line
            if line.startswith("4 of 6: "):
                break
        time.sleep(0.5)
        others = psutil.Process(process.pid).children(recursive=True)
        # As a terminal does it: to all of them.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, ""), seen + err
    assert "Traceback" not in seen + err
    assert err.splitlines()[-1].startswith("interrupted: 4 read, 0 skipped as done before, 0 failed, 2 left"), err
    assert len(others) == (0 if jobs == 1 else jobs + 1)  # One more cleans up after them.
    assert not psutil.wait_procs(others, timeout=20)[1]
    assert records(folder).keys() == {f"{number}.txt" for number in range(4)}
    # What was read of the others is kept for the next run.
    left = {path.name for path in folder.iterdir()} - {"long.pt.journal", "long2.pt.journal"}
    assert left == {"0.pt", "1.pt", "2.pt", "3.pt", "manifest.jsonl"}
    for known in records(folder).values():
        assert MemoryState.load(folder / known["state"]).tokens == known["tokens"]
