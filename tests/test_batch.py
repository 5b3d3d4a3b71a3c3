"""Plans and manifests of many documents, without a model."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.errors import InfiniError

from infini_cli.batch.manifest import Manifest, Record, latest, parse, read_folder
from infini_cli.batch.plan import Shard, Wanted, manifest_name, plan
from infini_cli.output import Console


def record(source: str, state: str | None = None, *, finished: str = "2030", **changes: str | None) -> Record:
    made = Record(source, None, "0" * 64, state, "tiny", 9, 1, "ok", None, None, finished)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


WANTED = st.builds(
    Wanted,
    st.builds(
        "/{}/{}{}".format,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["x", "X", "y", "ünï", "n" * 180, "日" * 70]),
        st.sampled_from([".pdf", ".txt", ""]),
    ),
    st.sampled_from([None, "1-2"]),
)


@given(st.lists(WANTED, min_size=1, max_size=12), st.integers(1, 5))
def test_every_document_has_one_name_of_its_own(wanted: list[Wanted], count: int) -> None:
    tasks = plan(wanted, [])
    names = {(task.source, task.pages): task.state for task in tasks}
    assert names.keys() == {each.key for each in wanted} and len(names) == len(tasks)
    assert len({name.casefold() for name in names.values()}) == len(names)
    assert all(len(os.fsencode(name)) < 200 and Path(name).name == name for name in names.values())
    # Neither the order of the documents nor the shard changes a name, and shards leave nothing out.
    shards = [plan(wanted[::-1], [], Shard(number, count)) for number in range(1, count + 1)]
    shared = [((task.source, task.pages), task.state) for shard in shards for task in shard]
    assert len(shared) == len(names) and dict(shared) == names
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@given(st.lists(WANTED, min_size=1, max_size=8), st.lists(WANTED, min_size=1, max_size=8))
def test_a_name_in_the_folder_is_never_given_to_another(first: list[Wanted], second: list[Wanted]) -> None:
    records = [record(task.source, task.state, pages=task.pages) for task in plan(first, [])]
    owners = {known.state: known for known in records}
    mine = {known.key: known for known in records}
    # No such file exists: only what is known by path is the same document.
    for task in plan([*second, *first], records):
        known = mine.get((task.source, task.pages))
        assert task.earlier == known
        if known is not None:
            assert task.state == known.state
        else:
            assert task.state not in owners


def test_what_the_person_chose_comes_first() -> None:
    records = [record("/a/x.txt", "x.pt")]
    tasks = plan([Wanted("/b/x.txt", None, "x.pt"), Wanted("/a/x.txt"), Wanted("/c/y.txt", None, "Z.pt")], records)
    assert [task.state for task in tasks][::2] == ["x.pt", "Z.pt"]
    # It is still the other's file: the reader will refuse to replace it.
    assert tasks[0].earlier is None
    assert tasks[1].state.startswith("x-")


def test_manifests_have_names_of_their_own() -> None:
    names = [manifest_name(shard) for shard in (None, Shard(1, 4), Shard(2, 4), Shard(1, 2), Shard.parse(" 1/14 "))]
    assert len(set(names)) == 5
    assert names[:2] == ["manifest.jsonl", "manifest-1-of-4.jsonl"]


def test_the_latest_record_counts_in_all_manifests_together(tmp_path: Path) -> None:
    lines = {
        "manifest.jsonl": [record("/a", "a.pt", finished="3"), record("/b", "b.pt", finished="1")],
        "manifest-1-of-2.jsonl": [record("/b", "b.pt", finished="2"), record("/a", "old.pt", finished="2")],
    }
    for name, known in lines.items():
        manifest = Manifest(tmp_path / name)
        for each in known:
            manifest.append(each)
        manifest.close()
    known = read_folder(tmp_path, Console(quiet=True))
    assert [(each.source, each.state, each.finished) for each in known] == [("/b", "b.pt", "2"), ("/a", "a.pt", "3")]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ok", "error"])), max_size=12), st.booleans())
def test_a_manifest_ends_with_one_line_a_document(tmp_path: Path, ends: list[tuple[str, str]], cut: bool) -> None:
    path = tmp_path / "manifest.jsonl"
    foreign = '{"schema": "infini.batch/2", "of": "a later release"}'
    path.write_text(foreign + "\n" + ('{"schema": "infini.ba' if cut else ""))
    manifest = Manifest(path)
    written = [record(source, finished=f"{n:03}", status=status) for n, (source, status) in enumerate(ends)]
    for each in written:
        manifest.append(each)
        # It is there at once.
        assert parse(path.read_text().splitlines()[-1]) == each
    manifest.close()
    lines = path.read_text().splitlines()
    assert foreign in lines
    assert [parse(line) for line in lines if line != foreign and parse(line)] == latest(written)
    assert len([line for line in lines if parse(line)]) == len({source for source, _ in ends})


def test_lines_that_are_no_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = record("/a", "a.pt").line()
    bad: list[dict[str, object]] = [
        {**good, "schema": "infini.batch/2"},
        {**good, "tokens": "9"},
        {**good, "status": "fine"},
        {key: value for key, value in good.items() if key != "sha256"},
        {**good, "more": 1},
    ]
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in [*bad, good]) + "\n[1]\n{")
    assert read_folder(tmp_path, Console()) == [record("/a", "a.pt")]
    told = capsys.readouterr().err.splitlines()
    assert [line.partition("line ")[2][:1] for line in told] == [*"12345", "7", "8"]
    assert "cut short" in told[-1]


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    source = os.fsdecode(b"/caf\xe9\n.txt")
    manifest = Manifest(tmp_path / "manifest.jsonl")
    manifest.append(record(source, "c.pt"))
    manifest.close()
    assert read_folder(tmp_path, Console())[0].source == source
    (task,) = plan([Wanted(source)], [])
    assert task.source == source


def test_a_manifest_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(InfiniError, match="cannot be written"):
        Manifest(tmp_path / "manifest.jsonl")
    with pytest.raises(InfiniError, match="cannot be read"):
        read_folder(tmp_path, Console())
