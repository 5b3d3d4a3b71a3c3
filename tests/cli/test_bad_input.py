"""What the command line is not meant to be given: two lines, the right exit status, nothing half done."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from cli_helpers import Infini, Outcome, assert_error, write_recipe
from document_helpers import make_pdf
from infini_attention import MemoryState

from infini_cli.opening import model_of_state

PAGES = [["The miller came to the river", f"and saw a boat with {n} lamps."] for n in range(4)]


@pytest.mark.parametrize("command", ["read", "summarize", "ask"])
def test_sources_that_cannot_be_read(infini: Infini, tmp_path: Path, book: Path, command: str) -> None:
    def run(source: object, data: bytes | None = None) -> Outcome:
        if data is not None:
            Path(str(source)).write_bytes(data)
        if command == "ask":
            return infini("ask", "-f", book, "-f", source, "Who?")
        rest = ("-o", tmp_path / "s.pt") if command == "read" else ()
        return infini(command, book, source, *rest)

    assert_error(run(tmp_path / "boook.txt"), 3, "does not exist", "book.txt")
    (tmp_path / "folder").mkdir()
    assert_error(run(tmp_path / "folder"), 3, "holds no documents")
    assert_error(run("https://example.invalid/a.pdf"), 3, "nothing is fetched")
    assert_error(run(tmp_path / "empty.txt", b""), 3, "is empty")
    assert_error(run(tmp_path / "blank.txt", b" \n"), 3, "no text")
    assert_error(run(tmp_path / "b.bin", bytes(range(256)) * 9), 3, "binary")
    assert_error(run(tmp_path / "scan.pdf", make_pdf([[], []])), 3, "OCR", "ocrmypdf")
    assert_error(run(tmp_path / "no.pdf", b"%PDF-1.7\n" + b"#" * 999), 3, "damaged")
    assert not (tmp_path / "s.pt").exists()


def test_empty_stdin(infini: Infini) -> None:
    assert_error(infini("summarize", stdin=b""), 3, "stdin is empty")


def test_pages_that_are_not_there(infini: Infini, tmp_path: Path, book: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(make_pdf(PAGES))
    assert_error(infini("summarize", path, "--pages", "9-"), 2, "outside")
    assert_error(infini("summarize", path, "--pages", "x"), 2, "not a selection")
    assert_error(infini("summarize", book, "--pages", "1"), 2, "no pages")


def test_state_of_another_model(
    infini: Infini, state: Path, tmp_path: Path, base_folder: Path, model: str, book: Path
) -> None:
    other = write_recipe(tmp_path / "other", base_folder, name="other", segment=16)
    for command in (("ask", "Who?"), ("read", book, "-o", tmp_path / "t.pt"), ("passkey-test",)):
        assert_error(infini(*command, "--memory", state, "--model", other), 5, model, str(other))
    # Same configuration, other weights: told apart by the base itself.
    weights = tmp_path / "weights"
    shutil.copytree(base_folder, weights)
    from transformers import LlamaForCausalLM

    changed = LlamaForCausalLM.from_pretrained(weights)
    with torch.no_grad():
        changed.model.norm.weight.add_(0.5)
    changed.save_pretrained(weights)
    twin = write_recipe(tmp_path / "twin", weights)
    assert_error(infini("ask", "Who?", "--memory", state, "--model", twin), 5, model, str(twin), "base")
    shutil.copytree(model, tmp_path / "moved")
    assert infini("ask", "Who?", "--memory", state, "--max-tokens", "2", "--model", tmp_path / "moved").code == 0


def test_the_settings_model_has_to_be_the_states(
    infini: Infini, state: Path, model: str, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFINI_MODEL", str(write_recipe(tmp_path / "other", base_folder, segment=16)))
    assert_error(infini("passkey-test", "--memory", state), 4, model, "--model")
    assert infini("ask", "--memory", state, "Who?", "--max-tokens", "2", "--model", model).code == 0


def test_a_built_in_model_of_a_state_wins_over_the_settings(state: Path, model: str) -> None:
    loaded = MemoryState.load(state)
    assert model_of_state(loaded, None, model) == model
    loaded.origin = dataclasses.replace(loaded.origin, model="smollm2-135m")
    assert model_of_state(loaded, None, model) == "smollm2-135m"


def test_cut_and_altered_states(infini: Infini, state: Path, book: Path) -> None:
    whole = state.read_bytes()
    altered = bytearray(whole)
    altered[len(whole) // 2] ^= 1
    for content in (whole[: len(whole) // 2], whole[:100], bytes(altered), b"", b"no state at all"):
        state.write_bytes(content)
        for command in (("ask", "Who?", "--memory"), ("state", "show"), ("state", "verify")):
            assert_error(infini(*command, state), 5)
    assert_error(infini("state", "verify", state.parent / "none.pt"), 5, "none.pt")
    assert_error(infini("state", "verify", book), 5, "not a memory state")


def test_unknown_model_device_and_dtype(infini: Infini, book: Path) -> None:
    assert_error(infini("ask", "Who?", "-f", book, "--model", "nonesuch"), 4, "nonesuch", "smollm2-135m")
    assert_error(infini("summarize", book, "--model", "nonesuch"), 4, "nonesuch", "smollm2-135m")
    assert_error(infini("models", "show", "nonesuch"), 4, "nonesuch")
    assert_error(infini("ask", "Who?", "-f", book, "--device", "cuda:77"), 2, "cuda:77")
    assert_error(infini("ask", "Who?", "-f", book, "--device", "abacus"), 2, "abacus")
    assert_error(infini("ask", "Who?", "-f", book, "--dtype", "fp1"), 2, "fp1")
    assert_error(infini("ask", "Who?", "-f", book, "--weights", "int3"), 2, "int3")
    assert_error(infini("ask", "Who?", "-f", book, "--weights", "int8", "--dtype", "bf16"), 2, "8 bits")
    assert_error(infini("ask", "Who?", "-f", book, "--format", "xml"), 2, "xml")
    assert_error(infini("ask", "Who?", "-f", book, "-q", "-v"), 2, "quiet")


def test_no_network_and_no_cached_model(
    infini: Infini, book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "http://127.0.0.1:9/"
    for name in ("PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "HF_ENDPOINT"):
        monkeypatch.setenv(name, nowhere)
    for name, value in {
        "PIP_RETRIES": "0",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("INFINI_MODEL")
    assert_error(infini("ask", "Who?", "-f", book), 4, "cannot be fetched", "network")
    assert_error(infini("models", "pull"), 4, "cannot be fetched")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    assert_error(infini("ask", "Who?", "-f", book, "--model", "nobody/nothing-at-all"), 4, "nobody/nothing-at-all")
    # Locks stay, and are empty: to remove one that another process is about to take would let both in.
    left = [path for path in (tmp_path / "cache" / "models").iterdir() if path.suffix != ".lock"]
    assert left == []


def test_output_that_cannot_be_written(infini: Infini, state: Path, tmp_path: Path) -> None:
    outcome = infini("summarize", "--memory", state, "--length", "2", "-o", tmp_path / "no" / "out.txt")
    assert_error(outcome, 1, "cannot be written")


def test_broken_recipe(infini: Infini, book: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "recipe.toml").write_text("name = ")
    assert_error(infini("ask", "Who?", "-f", book, "--model", folder), 4, "recipe")
    assert_error(
        infini("ask", "Who?", "-f", book, "--model", write_recipe(folder, tmp_path / "nowhere")), 4, "cannot be loaded"
    )
