from __future__ import annotations

from pathlib import Path

import pytest
import typer
from infini_attention.errors import InfiniError
from typer.main import get_command

from infini_cli import app
from infini_cli.options import Dtype, Format, PdfBackend, Reading, expanded
from infini_cli.user_file import config_path, take_defaults


def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *flags: str, toml: str = "", **variables: str) -> Reading:
    """What a command makes of flags, variables and the user's file; a wrong one is told as `main` would."""
    path = tmp_path / "config.toml"
    path.write_text(toml)
    monkeypatch.setenv("INFINI_CONFIG", str(path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made: list[Reading] = []

    @expanded
    def command(*, settings: Reading) -> None:
        made.append(settings)

    own = typer.Typer()
    own.command()(command)
    built = get_command(own)
    take_defaults(built)
    try:
        with built.make_context("infini", list(flags)) as context:
            built.invoke(context)
    except Exception as error:  # noqa: BLE001 - whatever Typer raises is told as `main` tells it
        raise app.explained(error) from None
    return made[0]


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(tmp_path, monkeypatch)
    assert found == Reading()
    assert (found.model, found.device, found.dtype) == (None, "auto", Dtype.AUTO)
    assert (found.format, found.pdf_backend, found.quiet) == (Format.TEXT, PdfBackend.PDFIUM, False)


def test_flag_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        tmp_path,
        monkeypatch,
        *("--model", "flag"),
        toml='model = "file"\ndevice = "cpu"\ndtype = "bf16"\npdf_backend = "pypdf"',
        INFINI_MODEL="env",
        INFINI_DEVICE="cuda:1",
    )
    assert (found.model, found.device, found.dtype, found.pdf_backend) == ("flag", "cuda:1", "bf16", "pypdf")


def test_switches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(tmp_path, monkeypatch, INFINI_QUIET="Yes").quiet
    assert not settings(tmp_path, monkeypatch, toml="quiet = true", INFINI_QUIET="0").quiet
    assert settings(tmp_path, monkeypatch, toml="quiet = true", INFINI_QUIET="").quiet


@pytest.mark.parametrize(
    ("flags", "toml", "variables", "quiet"),
    [
        (["-q"], "verbose = true", {}, True),
        (["-v"], "quiet = true", {}, False),
        ([], "quiet = true", {"INFINI_VERBOSE": "1"}, False),
        (["-q"], "", {"INFINI_VERBOSE": "1"}, True),
    ],
)
def test_the_stronger_of_quiet_and_verbose_wins(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    toml: str,
    variables: dict[str, str],
    quiet: bool,
) -> None:
    found = settings(tmp_path, monkeypatch, *flags, toml=toml, **variables)
    assert (found.quiet, found.verbose) == (quiet, not quiet)


@pytest.mark.parametrize(
    ("flags", "toml", "variables", "words"),
    [
        ([], 'modle = "x"', {}, ["modle", "config.toml"]),
        ([], "[model]\nname = 1", {}, ["model", "config.toml"]),
        ([], "quiet = 1", {}, ["quiet", "config.toml"]),
        ([], 'format = "xml"', {}, ["xml", "config.toml"]),
        ([], 'pdf_backend = "poppler"', {}, ["poppler", "config.toml"]),
        ([], 'model = ""', {}, ["model"]),
        ([], "model = ", {}, ["config.toml", "TOML"]),
        ([], "quiet = true\nverbose = true", {}, ["quiet", "verbose"]),
        (["-q", "-v"], "", {}, ["quiet", "verbose"]),
        (["--dtype", "int8"], "", {}, ["int8", "bf16"]),
        ([], "", {"INFINI_QUIET": "maybe"}, ["INFINI_QUIET"]),
        ([], "", {"INFINI_FORMAT": "xml"}, ["xml", "INFINI_FORMAT"]),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    toml: str,
    variables: dict[str, str],
    words: list[str],
) -> None:
    with pytest.raises(InfiniError) as caught:
        settings(tmp_path, monkeypatch, *flags, toml=toml, **variables)
    assert caught.value.exit_code == 2 and caught.value.hint
    assert all(word in caught.value.message for word in words), caught.value.message


def test_other_variables_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(tmp_path, monkeypatch, INFINI_PDF_PASSWORD="river", INFINI_DEVICE="") == Reading()


def test_a_named_file_must_exist_and_the_users_own_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, word in ((tmp_path / "none.toml", "does not exist"), (tmp_path, "cannot be read")):
        monkeypatch.setenv("INFINI_CONFIG", str(place))
        assert app.main(["models", "list"]) == 2
        assert word in capsys.readouterr().err
        # A broken file does not stand in the way of help.
        assert app.main(["models", "list", "--help"]) == 0
        capsys.readouterr()
    monkeypatch.delenv("INFINI_CONFIG")
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / name)
    assert config_path() == tmp_path / "infini" / "config.toml"
    assert app.main(["models", "list"]) == 0
