from __future__ import annotations

import errno
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.errors import InfiniError, InputError, UsageFailure

from infini_cli.exits import exit_code_of, explanation, report


class LibraryError(Exception):
    """As the library's errors: not of the same family, but with the same attributes."""

    message = "the state is of another model"
    hint = "Use the model that it was made with."
    exit_code = 5


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InfiniError("a", "b"), 1),
        (InfiniError("a", "b", 6), 6),
        (UsageFailure("a", "b"), 2),
        (InputError("a", "b"), 3),
        (LibraryError(), 5),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
        (ValueError("x"), 1),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


def test_two_lines() -> None:
    stream = io.StringIO()
    report(LibraryError(), stream)
    expected = "error: the state is of another model\nhint: Use the model that it was made with.\n"
    assert stream.getvalue() == expected


def test_an_unforeseen_error_has_two_lines_too() -> None:
    stream = io.StringIO()
    report(ZeroDivisionError("division\nby zero"), stream)
    assert stream.getvalue().startswith("error: ZeroDivisionError: division by zero\nhint: ")
    report(KeyError(), stream)


@given(st.text(), st.text())
def test_any_message_gives_two_printable_lines(message: str, hint: str) -> None:
    stream = io.StringIO()
    report(InfiniError(message, hint), stream)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    assert all(line.isprintable() for line in lines)


def test_a_full_disk_is_no_bug() -> None:
    message, hint = explanation(OSError(errno.ENOSPC, "No space left on device"))
    assert "no space left" in message and "bug" not in hint
