"""Many documents into a folder of states: named, recorded, skipped when done, and not stopped by one that fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_helpers import OTHER, SEGMENT, STORY, Infini, Outcome, assert_error, write_recipe
from document_helpers import make_pdf
from infini_attention import MemoryState
from infini_attention.memory.engine import Engine
from infini_attention.session import Session
from infini_attention.text.kept import ATTACHMENT

from infini_cli.batch.manifest import SCHEMA

PAGES = [["The miller came to the river in the morning", f"and saw a boat with {n} lamps."] for n in range(6)]


def records(folder: Path, name: str = "manifest.jsonl") -> dict[str, dict[str, Any]]:
    """The lines of a manifest, by the last two parts of their sources; each document has one."""
    lines = [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
    named = {"/".join(Path(line["source"]).parts[-2:]): line for line in lines}
    assert len(named) == len(lines)
    return named


def counts(outcome: Outcome) -> str:
    return outcome.err.splitlines()[-1 if outcome.code == 0 else -3].rpartition(": ")[2]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Four documents, two and two of which are called the same."""
    folder = tmp_path / "library"
    for name, text in (("a/x.txt", STORY), ("b/x.txt", OTHER), ("b/x.md", f"# Letters\n\n{OTHER}"), ("b/y.txt", STORY)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_state_each_and_a_line_each(infini: Infini, library: Path, tmp_path: Path, model: str) -> None:
    folder = tmp_path / "states"
    outcome = infini("read", library, "-o", f"{folder}/")
    assert (outcome.code, outcome.out, counts(outcome)) == (0, "", "4 read, 0 skipped as done before, 0 failed")
    known = records(folder)
    assert known.keys() == {"a/x.txt", "b/x.txt", "b/x.md", "b/y.txt"}
    assert known["b/y.txt"]["state"] == "y.pt"
    assert {path.name for path in folder.iterdir()} == {line["state"] for line in known.values()} | {"manifest.jsonl"}
    for name, line in known.items():
        state = MemoryState.load(folder / line["state"])
        (source,) = state.sources
        assert line.pop("finished") > "2020"
        assert line == {
            "schema": SCHEMA,
            "source": str(library / name),
            "pages": None,
            "sha256": source.sha256,
            "state": line["state"],
            "model": model,
            "tokens": state.tokens,
            "segments": state.segments,
            "status": "ok",
            "error": None,
            "hint": None,
        }
        assert line["segments"] == line["tokens"] // SEGMENT > 0
        # The same memory as when it is read by itself.
        assert infini("read", library / name, "-o", tmp_path / "alone.pt").code == 0
        alone = MemoryState.load(tmp_path / "alone.pt")
        assert all(torch.equal(tensor, state.tensors[key]) for key, tensor in alone.tensors.items())
        assert (alone.sources, alone.attachments) == (state.sources, state.attachments)
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}


def test_what_is_done_is_skipped_and_what_changed_is_read(infini: Infini, library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    command = ("read", library / "b", "-o", f"{folder}/")
    assert infini(*command).code == 0
    before, lines = records(folder), (folder / "manifest.jsonl").read_text()
    stamps = {name: (folder / line["state"]).stat().st_mtime_ns for name, line in before.items()}
    again = infini(*command)
    assert counts(again) == "0 read, 3 skipped as done before, 0 failed"
    assert f"{library / 'b' / 'y.txt'} was read before, into y.pt" in again.err
    assert (folder / "manifest.jsonl").read_text() == lines
    (library / "b" / "x.txt").write_text(OTHER + "More.")
    (folder / before["b/x.md"]["state"]).unlink()
    with (folder / "y.pt").open("r+b") as file:
        file.truncate(200)
    assert counts(infini(*command)) == "3 read, 0 skipped as done before, 0 failed"
    after = records(folder)
    assert after["b/x.txt"]["state"] == before["b/x.txt"]["state"]
    assert after["b/x.txt"]["sha256"] != before["b/x.txt"]["sha256"]
    assert after["b/x.txt"]["tokens"] > before["b/x.txt"]["tokens"]
    for name, line in after.items():
        assert (folder / line["state"]).stat().st_mtime_ns > stamps[name]
        assert MemoryState.load(folder / line["state"]).sources[0].sha256 == line["sha256"]
    assert counts(infini(*command)) == "0 read, 3 skipped as done before, 0 failed"


def test_another_model_or_other_pages_are_not_done(
    infini: Infini, tmp_path: Path, base_folder: Path, library: Path
) -> None:
    book, folder = tmp_path / "book.pdf", tmp_path / "states"
    book.write_bytes(make_pdf(PAGES))
    command = ("read", book, "-o", f"{folder}/")

    def read(*options: object) -> str:
        outcome = infini(*command, *options)
        assert outcome.code == 0
        return counts(outcome).partition(",")[0]

    assert read() == "1 read"
    assert read("--pages", "2-3") == "1 read"
    assert read("--pages", " 2-3") == read() == "0 read"
    pages = {line["pages"]: line for line in map(json.loads, (folder / "manifest.jsonl").read_text().splitlines())}
    assert pages[None]["state"] == "book.pt" != pages["2-3"]["state"]
    assert pages[None]["tokens"] > pages["2-3"]["tokens"]
    other = write_recipe(tmp_path / "other", base_folder, name="other", segment=16)
    assert read("--model", other) == "1 read"
    assert read("--model", other) == "0 read"
    assert MemoryState.load(folder / "book.pt").origin.model == str(other)
    # The text is a part of what was asked for.
    assert read("--model", other, "--no-text") == "1 read"
    assert MemoryState.load(folder / "book.pt").attachments == {}
    assert read("--model", other) == "1 read"
    assert ATTACHMENT in MemoryState.load(folder / "book.pt").attachments


def test_a_question_added_to_a_state_is_not_lost(infini: Infini, library: Path, tmp_path: Path) -> None:
    command = ("read", library / "b" / "y.txt", "-o", f"{tmp_path}/states/")
    assert infini(*command).code == 0
    state = tmp_path / "states" / "y.pt"
    assert infini("ask", "--memory", state, "--update", "--max-tokens", "2", "Who?").code == 0
    asked = state.read_bytes()
    assert counts(infini(*command)).startswith("0 read, 1 skipped")
    assert state.read_bytes() == asked


def test_goes_on_after_errors(infini: Infini, library: Path, tmp_path: Path) -> None:
    folder, torn, gone = tmp_path / "states", library / "a" / "torn.pdf", library / "none.txt"
    torn.write_bytes(b"%PDF-1.7\n" + b"#" * 999)
    command = ("read", torn, gone, library / "a" / "x.txt", "-o", f"{folder}/")
    assert_error(infini(*command), 6, "2 of 3 documents could not be read", "manifest.jsonl")
    known = records(folder)
    assert [line["status"] for line in known.values()] == ["error", "error", "ok"]
    bad = known["a/torn.pdf"]
    assert "damaged" in bad["error"] and bad["hint"]
    assert (bad["state"], bad["tokens"], bad["segments"], len(bad["sha256"])) == (None, None, None, 64)
    assert "does not exist" in known["library/none.txt"]["error"]
    assert known["library/none.txt"]["sha256"] is None
    assert not (folder / "torn.pt").exists()
    torn.write_bytes(make_pdf(PAGES))
    gone.write_text(OTHER)
    assert counts(infini(*command)) == "2 read, 1 skipped as done before, 0 failed"
    assert {line["status"] for line in records(folder).values()} == {"ok"}
    # What was read once stays, and stays named, when the document is damaged later.
    torn.write_bytes(b"%PDF-1.7\n" + b"#" * 999)
    assert infini(*command).code == 6
    bad = records(folder)["a/torn.pdf"]
    assert (bad["status"], bad["state"]) == ("error", "torn.pt")
    torn.write_bytes(make_pdf(PAGES))
    assert counts(infini(*command)) == "1 read, 2 skipped as done before, 0 failed"


def test_what_nobody_foresaw_stops_one_document(
    infini: Infini, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Session.snapshot

    def fall_over(session: Session) -> MemoryState:
        if session.sources[0].name == "x.md":
            raise RuntimeError("the sky\nfell")
        return snapshot(session)

    monkeypatch.setattr(Session, "snapshot", fall_over)
    command = ("read", library / "b", "-o", f"{tmp_path}/states/")
    assert_error(infini(*command), 6, "1 of 3")
    bad = records(tmp_path / "states")["b/x.md"]
    assert bad["error"] == "RuntimeError: the sky fell" and "bug" in bad["hint"]
    assert "Traceback" in infini(*command, "--debug").err


def test_names_are_nobody_elses(infini: Infini, library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    for name in ("a", "b"):
        assert infini("read", library / name / "x.txt", "-o", f"{folder}/").code == 0
    known = records(folder)
    assert known["a/x.txt"]["state"] == "x.pt" != known["b/x.txt"]["state"]
    # All at once they keep the names that they have.
    assert counts(infini("read", library, "-o", folder)) == "2 read, 2 skipped as done before, 0 failed"
    assert {name: records(folder)[name] for name in known} == known
    # A file that no manifest tells of may be anybody's.
    (folder / "y-old.pt").write_bytes((folder / "x.pt").read_bytes())
    (library / "b" / "y-old.txt").write_text(OTHER)
    assert_error(infini("read", library / "b" / "y-old.txt", "-o", folder), 6, "1 of 1 document could")
    assert "there already" in records(folder)["b/y-old.txt"]["error"]
    assert (folder / "y-old.pt").read_bytes() == (folder / "x.pt").read_bytes()


def test_a_state_that_was_saved_but_not_recorded_is_read_again(infini: Infini, library: Path, tmp_path: Path) -> None:
    command = ("read", library / "b", "-o", f"{tmp_path}/states/")
    assert infini(*command).code == 0
    manifest = tmp_path / "states" / "manifest.jsonl"
    # Cut within the last line.
    manifest.write_bytes(manifest.read_bytes()[:-50])
    outcome = infini(*command)
    assert counts(outcome) == "1 read, 2 skipped as done before, 0 failed"
    assert "line 3 was cut short and does not count" in outcome.err
    assert len(records(tmp_path / "states")) == 3


def test_documents_that_moved_are_not_read_again(infini: Infini, library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    assert infini("read", library / "b", "-o", f"{folder}/").code == 0
    states = {name: line["state"] for name, line in records(folder).items()}
    shutil.move(library, tmp_path / "elsewhere")
    for _ in range(2):
        outcome = infini("read", tmp_path / "elsewhere" / "b" / "y.txt", "-o", folder)
        assert counts(outcome) == "0 read, 1 skipped as done before, 0 failed"
    # A copy is a document of its own.
    shutil.copytree(tmp_path / "elsewhere", library)
    assert counts(infini("read", library / "b" / "y.txt", "-o", folder)).startswith("1 read")
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    at = {line["source"]: line["state"] for line in lines}
    assert at[str(tmp_path / "elsewhere" / "b" / "y.txt")] == states["b/y.txt"] != at[str(library / "b" / "y.txt")]


def test_a_listing_says_what_to_read(infini: Infini, library: Path, tmp_path: Path) -> None:
    book, folder, listing = tmp_path / "book.pdf", tmp_path / "states", tmp_path / "in.jsonl"
    book.write_bytes(make_pdf(PAGES))
    lines: list[dict[str, str]] = [
        {"source": str(book), "state": "start.safetensors", "pages": "1-2"},
        {"source": str(book), "pages": "3-"},
        {"source": str(library / "a" / "x.txt")},
    ]
    listing.write_text("\n\n".join(map(json.dumps, lines)))
    outcome = infini("read", "--batch", listing, "-o", folder, "--format", "json")
    assert outcome.code == 0
    value = json.loads(outcome.out)
    assert (value["schema"], value["documents"], value["read"]) == ("infini.batch-summary/1", 3, 3)
    assert [(line["pages"], line["state"]) for line in value["records"]] == [
        ("1-2", "start.safetensors"),
        ("3-", "book.pt"),
        (None, "x.pt"),
    ]
    assert MemoryState.load(folder / "start.safetensors").sources[0].pages == 2
    outcome = infini(
        "read", "--batch", "-", "-o", folder, "--format", "jsonl", stdin=json.dumps(lines[0]).encode() + b"\r\n"
    )
    assert (outcome.code, counts(outcome)) == (0, "0 read, 1 skipped as done before, 0 failed")
    assert json.loads(outcome.out) == value["records"][0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ('["a.txt"]', "not an object"),
        ('{"state": "a.pt"}', "no source"),
        ('{"source": 3}', "not a text"),
        ('{"source": "a.txt", "page": "3"}', "'page' is not a key"),
        ('{"source": "a.txt", "pages": "3-1"}', "runs backwards"),
        ('{"source": "a.txt", "state": "../a.pt"}', "not a plain name"),
        ('{"source": "a.txt", "state": "manifest.jsonl"}', "not a plain name"),
        ('{"source": "a.txt", "state": "OK.pt"}', "that of line 1"),
        ('{"source": "./ok.txt"}', "the same document as line 1"),
        ('{"source": "-"}', "stdin"),
    ],
)
def test_bad_lines_are_named(infini: Infini, tmp_path: Path, line: str, why: str) -> None:
    listing = tmp_path / "in.jsonl"
    good = '{"source": "ok.txt", "state": "ok.pt"}'
    listing.write_text(f"{good}\n\n{line}\n")
    assert_error(infini("read", "--batch", listing, "-o", tmp_path / "s"), 3, "line 3 of", why)
    listing.write_text(f"{good}\n{line}\n{line}\n{line}\n")
    assert_error(infini("read", "--batch", listing, "-o", tmp_path / "s"), 3, "lines 2-4 of", "line 2: ", why)
    assert not (tmp_path / "s").exists()


def test_what_does_not_go_together(infini: Infini, library: Path, tmp_path: Path) -> None:
    text, folder = library / "a" / "x.txt", tmp_path / "states"
    listing = tmp_path / "in.jsonl"
    assert_error(infini("read", "--batch", listing, "-o", folder), 3, "in.jsonl cannot be read")
    listing.write_text("\n")
    assert_error(infini("read", "--batch", listing, "-o", folder), 3, "names no documents")
    listing.write_bytes(b'{"source": "\xff"}')
    assert_error(infini("read", "--batch", listing, "-o", folder), 3, "UTF-8")
    assert_error(infini("read", text, "--batch", listing, "-o", folder), 2, "in one place")
    for option in (("--jobs", 2), ("--shard", "1/2"), ("--ray",)):
        assert_error(infini("read", text, "-o", tmp_path / "s.pt", *option), 2, "need a folder")
    assert_error(infini("read", text, "-o", f"{folder}/", "--memory", tmp_path / "s.pt"), 2, "--memory")
    assert_error(infini("read", "-o", f"{folder}/", stdin=STORY.encode()), 2, "stdin has no name")
    for shard in ("0/2", "3/2", "1", "1/0", "-1/2"):
        assert_error(infini("read", text, "-o", f"{folder}/", "--shard", shard), 2, "not a shard", "2/8")
    assert not folder.exists()
    assert_error(infini("read", text, "-o", f"{folder}/states/"), 1, "does not exist", "mkdir")
    assert_error(infini("read", text, "-o", f"{text}/"), 1, "cannot be made")


def test_shards_share_out_the_documents(infini: Infini, library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    sources = [library / name for name in ("b/y.txt", "b/x.txt", "a/x.txt", "b/x.md")]
    assert infini("read", *sources, "-o", f"{folder}/", "--shard", "2/3").code == 0
    assert infini("read", *reversed(sources), "-o", f"{folder}/", "--shard", "1/3").code == 0
    assert [*records(folder, "manifest-1-of-3.jsonl")] == ["a/x.txt", "b/y.txt"]
    assert [*records(folder, "manifest-2-of-3.jsonl")] == ["b/x.md"]
    # Their names are those that they have in all.
    whole = infini("read", *sources, "-o", folder)
    assert counts(whole) == "1 read, 3 skipped as done before, 0 failed"
    assert [*records(folder)] == ["b/x.txt"]
    assert len({*folder.glob("*.pt")}) == 4
    more = infini("read", *sources, "-o", folder, "--shard", "9/9")
    assert (more.code, counts(more)) == (0, "0 read, 0 skipped as done before, 0 failed")


def test_named_twice_is_read_once(infini: Infini, library: Path, tmp_path: Path) -> None:
    text = library / "a" / "x.txt"
    outcome = infini("read", text, text.parent / "." / "x.txt", "-o", f"{tmp_path}/states/")
    assert counts(outcome) == "1 read, 0 skipped as done before, 0 failed"
    assert "1 of 2 documents are named more than once" in outcome.err


def test_interrupted(infini: Infini, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "states"
    read = Engine.read

    def interrupt(engine: Engine, ids: Any, on_segment: None = None) -> None:
        read(engine, ids, on_segment)
        if list(folder.glob("x*.journal")) and engine.cache.segments == 2:
            os.kill(os.getpid(), signal.SIGINT)

    command = ("read", library / "b" / "y.txt", library / "b" / "x.txt", library / "b" / "x.md", "-o", f"{folder}/")
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "read", interrupt)
        outcome = infini(*command)
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err.splitlines()[-1].startswith("interrupted: 1 read, 0 skipped as done before, 0 failed, 2 left")
    assert [*records(folder)] == ["b/y.txt"]
    (journal,) = folder.glob("x*.pt.journal")
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.jsonl", journal.name, "y.pt"]
    again = infini(*command)
    assert counts(again) == "2 read, 1 skipped as done before, 0 failed"
    # The document that was not read to its end is gone on with.
    assert "going on from" in again.err and "64 of" in again.err
    assert not list(folder.glob("*.journal"))


def test_two_runs_do_not_write_one_manifest(
    infini: Infini, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infini_cli.batch.manifest import Manifest

    folder = tmp_path / "states"
    folder.mkdir()
    manifest = Manifest(folder / "manifest.jsonl")
    assert_error(infini("read", library, "-o", folder), 1, "another run is writing", "--shard")
    assert infini("read", library, "-o", folder, "--shard", "1/2").code == 0
    manifest.close()
    assert infini("read", library, "-o", folder).code == 0


def test_the_model_is_missing(infini: Infini, library: Path, tmp_path: Path) -> None:
    assert_error(infini("read", library, "-o", f"{tmp_path}/s/", "--model", tmp_path / "none"), 4, "unknown model")
