"""Figures of a measurement that was stopped are found again; a cut line spoils nothing but itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from infini_attention.evaluate.journal import Journal

from models import ORIGIN


def test_figures_are_found_again_by_what_they_depend_on(tmp_path: Path) -> None:
    about = {"task": "passkey", "seed": 1}
    journal = Journal(tmp_path / "kept", ORIGIN, about)
    journal.put(0, 3, {"f1": 0.5, "exact": 0.0})
    journal.put(1, 0, {"f1": 1.0, "exact": 1.0})
    again = Journal(tmp_path / "kept", ORIGIN, {"seed": 1, "task": "passkey"})
    assert len(again) == 2 and again.get(0, 3) == {"f1": 0.5, "exact": 0.0} and again.get(0, 0) is None
    assert len(Journal(tmp_path / "kept", ORIGIN, {**about, "seed": 2})) == 0
    again.remove()
    assert len(Journal(tmp_path / "kept", ORIGIN, about)) == 0


def test_only_the_owner_may_look_into_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        journal = Journal(tmp_path / "a" / "b", ORIGIN, {})
        journal.put(0, 0, {"exact": 1.0})
    finally:
        os.umask(old)
    kept = [tmp_path / "a", tmp_path / "a" / "b", journal.path]
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o700, 0o700, 0o600]


def test_a_cut_line_is_dropped_and_the_next_one_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, ORIGIN, {})
    journal.put(0, 0, {"exact": 1.0})
    with journal.path.open("ab") as file:
        file.write(b"[0, 1, 0.\xff")
    cut = Journal(tmp_path, ORIGIN, {})
    assert cut.scores == {(0, 0): {"exact": 1.0}}
    cut.put(0, 2, {"exact": 0.25})
    assert Journal(tmp_path, ORIGIN, {}).scores == {(0, 0): {"exact": 1.0}, (0, 2): {"exact": 0.25}}
