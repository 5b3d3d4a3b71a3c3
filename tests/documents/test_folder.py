from __future__ import annotations

from pathlib import Path

import pytest
from infini_attention.documents.folder import expand
from infini_attention.errors import InputError


def test_a_folder_is_its_documents_in_the_order_of_a_reader(tmp_path: Path) -> None:
    names = [
        "b/ch10.txt",
        "b/ch2.txt",
        "a.PDF",
        "picture.png",
        ".hidden.txt",
        ".git/x.md",
        "b/c/deep.md",
        "10.md",
        "9.md",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = [str(Path(one).relative_to(tmp_path)) for one in expand([str(tmp_path)])]
    assert found == ["9.md", "10.md", "a.PDF", "b/c/deep.md", "b/ch2.txt", "b/ch10.txt"]
    assert expand(["-", "missing.txt"]) == ["-", "missing.txt"]


def test_a_folder_without_documents_is_told(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_text("x")
    with pytest.raises(InputError, match="holds no documents"):
        expand([str(tmp_path)])
