"""Every family of transformers carries a memory, or is refused before anything in it is changed: as docs/python.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import transformers
from families import NOT_MADE, USES, family_names, table, tiny, uses_of

DOCS = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
TABLE = DOCS[DOCS.index("| Families |") :]


def documented() -> dict[str, tuple[str, ...]]:
    """What the table says of each family."""
    found = {}
    for row in re.findall(r"^\| (`[^|]*`) \|(.*)\|$", TABLE, re.MULTILINE):
        cells = tuple(cell for text in row[1].split("|") if (cell := text.strip()))
        found.update({name: cells for name in re.findall(r"`([^`]+)`", row[0])})
    return found


@pytest.mark.parametrize("family", sorted(set(documented()) & set(family_names())))
def test_a_family_is_used_as_the_table_says(family: str) -> None:
    assert uses_of(tiny(family)) == documented()[family]


def test_the_table_is_what_the_matrix_prints() -> None:
    assert TABLE.startswith(table(documented()))
    assert all(cells == ("yes",) * len(USES) or cells[0].startswith("refused: ") for cells in documented().values())


def test_every_family_is_in_the_table() -> None:
    version = re.search(r"transformers (\d+\.\d+)", DOCS)
    assert version is not None
    if not transformers.__version__.startswith(version[1]):
        pytest.skip(f"the table is of transformers {version[1]}")
    assert set(documented()) == set(family_names())
    assert not set(documented()) & NOT_MADE
