"""Imports run one way: memory, model, text and documents, questions and summaries, training and measuring, the terminal."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import infini_attention

ABOVE = {"infini_cli", "typer", "click", "rich"}
PACKAGE = "infini_attention"
ROOT = Path(infini_attention.__file__).parent
# A module may import from its own layer and from those before it.
LAYERS = (
    ("errors", "files", "reporting"),
    ("memory",),
    ("model",),
    ("text", "documents", "data"),
    ("qa", "summary"),
    ("ingestion", "session"),
    ("train", "evaluate"),
)
LAYER_OF = {part: number for number, parts in enumerate(LAYERS) for part in parts}


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file: Path) -> Iterator[str]:
    """Full names of all modules that a file imports, anywhere in it."""
    here = name_of(file).split(".")
    package = here if file.name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def part_of(module: str) -> str | None:
    """The part of the library that a module stands in; None outside of it and for its face."""
    names = module.split(".")
    return names[1] if names[0] == PACKAGE and len(names) > 1 and names[1] in LAYER_OF else None


FILES = sorted(ROOT.rglob("*.py"))


def test_every_file_stands_in_a_layer() -> None:
    assert [str(file) for file in FILES if part_of(name_of(file)) is None] == [str(ROOT / "__init__.py")]


def test_no_file_of_the_library_imports_anything_of_the_command_line() -> None:
    found = {str(file): ABOVE & {name.split(".")[0] for name in imported(file)} for file in FILES}
    assert {file: names for file, names in found.items() if names} == {}


def test_no_file_imports_from_a_later_layer() -> None:
    back = [
        f"{name_of(file)} -> {module}"
        for file in FILES
        if (own := part_of(name_of(file))) is not None
        for module in sorted(set(imported(file)))
        if (other := part_of(module)) is not None and LAYER_OF[other] > LAYER_OF[own]
    ]
    assert back == []


def test_no_files_import_each_other_in_a_circle() -> None:
    modules = {name_of(file) for file in FILES} - {PACKAGE}
    edges = {name_of(file): sorted(set(imported(file)) & modules - {name_of(file)}) for file in FILES}
    # A package's face is reached through any of its modules, which is no circle of its own.
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> list[str] | None:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return None
        for other in edges.get(module, ()):
            if circle := walk(other, (*path, module)):
                return circle
        done.add(module)
        return None

    assert [circle for module in sorted(modules) if (circle := walk(module, ()))] == []


def test_every_module_imports_where_the_command_line_is_not_installed() -> None:
    program = (
        "import importlib, sys\n"
        f"for name in {sorted(ABOVE)!r}:\n"
        "    sys.modules[name] = None\n"
        f"for name in {[name_of(file) for file in FILES]!r}:\n"
        "    importlib.import_module(name)\n"
        "print('imported')\n"
    )
    paths = [str(ROOT.parent)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{program}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "imported", done.stderr
