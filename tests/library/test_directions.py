"""The library knows nothing of the command line: neither in its text nor when it is imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import infini_attention

ABOVE = {"infini_cli", "typer", "click", "rich", "pypdf", "charset_normalizer"}
ROOT = Path(infini_attention.__file__).parent


def imported(file: Path) -> Iterator[str]:
    """Top-level names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (
                a.value.split(".")[0] for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
            )


def modules() -> list[str]:
    names = []
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def test_no_file_of_the_library_imports_anything_of_the_command_line() -> None:
    files = list(ROOT.rglob("*.py"))
    assert len(files) > 15
    assert {str(file): ABOVE & set(imported(file)) for file in files if ABOVE & set(imported(file))} == {}


def test_every_module_imports_where_the_command_line_is_not_installed() -> None:
    program = (
        "import importlib, sys\n"
        f"for name in {sorted(ABOVE)!r}:\n"
        "    sys.modules[name] = None\n"
        f"for name in {modules()!r}:\n"
        "    importlib.import_module(name)\n"
        "print('imported')\n"
    )
    paths = [str(ROOT.parent)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{program}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "imported", done.stderr
