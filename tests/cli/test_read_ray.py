"""Many documents on a Ray cluster; a small one is started for the tests."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_helpers import MortalActor, assert_same_states, records
from cli_helpers import STORY, Infini, assert_error, write_recipe
from document_helpers import encrypt, make_pdf

from infini_cli.batch import on_ray

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of two processors."""
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    with pytest.MonkeyPatch.context() as patch:
        # A test leaves nothing in the home folder, not even a token.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        # Its processes know nothing of pytest's paths.
        patch.setenv("PYTHONPATH", os.pathsep.join(str(ROOT / name) for name in (".", "models", "tests")))
        ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
        yield
        ray.shutdown()


@pytest.fixture
def library(library: Path) -> Path:
    """Two more: one with a password, and one that cannot be read."""
    (library / "secret.pdf").write_bytes(encrypt(make_pdf([["The miller came to the river."]] * 3), "sesame"))
    (library / "torn.pdf").write_bytes(b"%PDF-1.7\n" + b"#" * 999)
    return library


@pytest.mark.usefixtures("cluster")
def test_a_cluster_reads_the_same(
    infini: Infini, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Set after the cluster was started, as on a cluster of many machines.
    monkeypatch.setenv("INFINI_PDF_PASSWORD", "sesame")
    one, two = tmp_path / "one", tmp_path / "two"
    assert infini("read", library, "-o", f"{one}/").code == 6
    outcome = infini("read", library, "-o", f"{two}/", "--ray")
    assert_error(outcome, 6, "1 of 6 documents")
    assert "6 of 6: " in outcome.err
    assert_same_states(one, two)
    (library / "torn.pdf").unlink()
    again = infini("read", library, "-o", two, "--ray", "--jobs", "1", "--format", "json")
    assert again.code == 0
    value = json.loads(again.out)
    assert (value["read"], value["skipped"], value["failed"]) == (0, 5, 0)


@pytest.mark.usefixtures("cluster")
def test_a_document_that_takes_its_actor_down(
    infini: Infini, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "RayReader", MortalActor)
    sources = [library / name for name in ("0.txt", "1-deadly.txt", "2.txt")]
    sources[1].write_text(STORY)
    outcome = infini("read", *sources, "-o", f"{tmp_path}/s/", "--ray", "--jobs", 1)
    # Ray has words of its own about it, which must stay away from stdout.
    assert (outcome.code, outcome.out) == (6, "")
    assert "error: 1 of 3 documents could not be read\nhint: " in outcome.err
    known = records(tmp_path / "s")
    assert [known[source.name]["status"] for source in sources] == ["ok", "error", "ok"]
    assert "nothing came back" in known["1-deadly.txt"]["error"]


@pytest.mark.usefixtures("cluster")
def test_no_model_for_the_actors(infini: Infini, library: Path, tmp_path: Path, base_folder: Path) -> None:
    broken = write_recipe(tmp_path / "broken", base_folder)
    (broken / "adapter.safetensors").write_bytes(b"no tensors")
    command = ("read", library, "-o", f"{tmp_path}/s/", "--ray")
    assert_error(infini(*command, "--model", broken), 4, "adapter", "damaged")


def test_ray_is_not_installed(infini: Infini, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert_error(infini("read", library, "-o", f"{tmp_path}/s/", "--ray"), 1, "not installed", "infini[ray]")
