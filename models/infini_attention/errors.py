"""Errors that a person can act on: one line of what is wrong, one line of what to do about it."""


class InfiniError(Exception):
    """Base of the library's own errors.

    Args:
        message: what is wrong, one line.
        hint: what to do about it, one line.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class DeviceUnavailable(InfiniError):
    """An explicitly chosen device or dtype is not there."""

    exit_code = 2


class ModelUnavailable(InfiniError):
    """Base weights, tokenizer or adapter cannot be found, fetched or used."""

    exit_code = 4


class StateError(InfiniError):
    """A memory state is damaged, of an unknown format, or of another model."""

    exit_code = 5
