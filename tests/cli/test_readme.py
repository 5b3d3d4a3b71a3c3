"""Every command of the README and of docs/ runs as it stands there, on a tiny model; what they name exists."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pypdf
import pytest
from cli_helpers import ROOT, of_a_process

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
BLOCKS = [block for text in PAGES.values() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
COMMANDS = list(dict.fromkeys(line for block in BLOCKS for line in block.splitlines() if "infini " in line))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, model: str) -> tuple[Path, dict[str, str]]:
    """A folder with the files that the README speaks of, and an environment in which the default model is tiny."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "samples").mkdir()
    sample = ROOT / "samples" / "four-pounds-of-lead.pdf"
    shutil.copy(sample, folder / "samples")
    for name, pages in (("book.pdf", (0, 3)), ("more.pdf", (3, 5))):
        book = pypdf.PdfWriter()
        book.append(sample, pages=pages)
        book.write(folder / name)
    (folder / "notes.txt").write_text("The kettle is in the blue cupboard. The keys hang by the door.\n")
    (folder / "texts").mkdir()
    shutil.copy(ROOT / "samples" / "four-pounds-of-lead.md", folder / "texts" / "book.md")
    return folder, of_a_process(INFINI_MODEL=model, OMP_NUM_THREADS="1")


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 7


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command: str, workplace: tuple[Path, dict[str, str]]) -> None:
    folder, environment = workplace
    # Each test may run alone, in any order: what an earlier example leaves behind is made here, once.
    if re.search("(--memory|state [a-z]+) state.pt", command) and not (folder / "state.pt").exists():
        _run("infini read book.pdf --pages 2 -o state.pt", folder, environment)
    if "--model adapted" in command and not (folder / "adapted" / "adapter.safetensors").exists():
        _run("infini adapt --data texts/ --steps 2 -o adapted", folder, environment)
    done = _run(command, folder, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout or " -o " in command


def test_the_python_example_runs(workplace: tuple[Path, dict[str, str]]) -> None:
    folder, environment = workplace
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    code = code.replace("load()", f"load({environment['INFINI_MODEL']!r})")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_tree_names_what_exists() -> None:
    tree = PAGES[ROOT / "docs" / "how-it-works.md"].split("## The tree")[1]
    folder = ROOT
    for line in re.findall(r"```text\n(.*?)```", tree, re.DOTALL)[0].splitlines():
        names = list(itertools.takewhile(re.compile(r"[\w./-]+(\.py|/)$").match, line.split()))
        assert names, line
        if not line.startswith(" "):
            folder = ROOT / names[0]
        for name in names:
            place = folder if not line.startswith(" ") else folder / name
            assert place.exists(), f"{folder.name}/{name}"


def _run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    # `infini` as a module, so that the test needs no installed script.
    line = re.sub(r"\binfini(?= )", f"{shlex.quote(sys.executable)} -m infini_cli", command)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_links_lead_to_what_exists() -> None:
    for page, text in PAGES.items():
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert link.startswith("https://") or (page.parent / link).exists(), (page.name, link)
