from __future__ import annotations

from pathlib import Path

import pytest
from infini_attention.errors import UsageFailure

from infini_cli.settings import Settings, config_path, load


def environment(tmp_path: Path, toml: str = "", **variables: str) -> dict[str, str]:
    path = tmp_path / "config.toml"
    path.write_text(toml)
    return {"INFINI_CONFIG": str(path), **variables}


def test_defaults(tmp_path: Path) -> None:
    settings = load(environ=environment(tmp_path))
    assert settings == Settings(None, "auto", "auto", False, False, "text")


def test_flag_over_environment_over_file(tmp_path: Path) -> None:
    environ = environment(
        tmp_path, 'model = "file"\ndevice = "file"\ndtype = "file"', INFINI_MODEL="env", INFINI_DEVICE="env"
    )
    settings = load(model="flag", environ=environ)
    assert (settings.model, settings.device, settings.dtype) == ("flag", "env", "file")


def test_the_pdf_backend_is_a_setting_like_others(tmp_path: Path) -> None:
    environ = environment(tmp_path, 'pdf_backend = "pdfium"')
    assert load(environ=environ).pdf_backend == "pdfium"
    assert load(pdf_backend="pypdf", environ=environ).pdf_backend == "pypdf"


def test_switches(tmp_path: Path) -> None:
    assert load(environ=environment(tmp_path, INFINI_QUIET="Yes")).quiet
    assert not load(environ=environment(tmp_path, "quiet = true", INFINI_QUIET="0")).quiet
    assert not load(quiet=False, environ=environment(tmp_path, "quiet = true")).quiet


def test_a_stronger_quiet_overrides_verbose(tmp_path: Path) -> None:
    settings = load(quiet=True, environ=environment(tmp_path, "verbose = true"))
    assert (settings.quiet, settings.verbose) == (True, False)
    settings = load(environ=environment(tmp_path, "quiet = true", INFINI_VERBOSE="1"))
    assert (settings.quiet, settings.verbose) == (False, True)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('modle = "x"', "unknown key 'modle'"),
        ("[model]\nname = 1", "model in .* is not a text"),
        ("quiet = 1", "quiet in .* neither true nor false"),
        ('format = "xml"', "'xml'"),
        ('pdf_backend = "poppler"', "'poppler'"),
        ('model = ""', "model"),
        ("model = ", "not valid TOML"),
        ("quiet = true\nverbose = true", "at once"),
    ],
)
def test_bad_files_are_usage_errors(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(UsageFailure, match=words) as caught:
        load(environ=environment(tmp_path, toml))
    assert caught.value.hint


def test_bad_variables_and_flags(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="INFINI_QUIET"):
        load(environ=environment(tmp_path, INFINI_QUIET="maybe"))
    with pytest.raises(UsageFailure, match="the environment"):
        load(environ=environment(tmp_path, INFINI_FORMAT="xml"))
    with pytest.raises(UsageFailure, match="at once"):
        load(quiet=True, verbose=True, environ=environment(tmp_path))


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    environ = environment(tmp_path, INFINI_PDF_PASSWORD="river", INFINI_DEVICE="")
    assert load(environ=environ) == Settings()


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="does not exist"):
        load(environ={"INFINI_CONFIG": str(tmp_path / "none.toml")})


def test_the_users_file_need_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / name)
    assert config_path({}) == tmp_path / "infini" / "config.toml"
    assert load(environ={}) == Settings()


def test_a_directory_as_file(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="cannot be read"):
        load(environ={"INFINI_CONFIG": str(tmp_path)})
