"""Errors that a person can act on: one line of what is wrong, one line of what to do about it."""

from __future__ import annotations


class InfiniError(Exception):
    """Base of the product's own errors.

    Args:
        message: what is wrong, one line without a full stop.
        hint: what to do about it, one line.
        exit_code: exit status of a command that ends with it; that of its kind if left out.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class UsageFailure(InfiniError):
    """Something was asked for that cannot be meant."""

    exit_code = 2


class UseError(UsageFailure, ValueError):
    """A model, its memory or an input is used in a way that cannot give what is meant. As text it has both lines."""

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}"


class DeviceUnavailable(InfiniError):
    """An explicitly chosen device or dtype is not there."""

    exit_code = 2


class InputError(InfiniError):
    """An input cannot be read or has no text."""

    exit_code = 3


class ModelUnavailable(InfiniError):
    """Base weights, tokenizer or adapter cannot be found, fetched or used."""

    exit_code = 4


class StateError(InfiniError):
    """A memory state is damaged, of an unknown format, or of another model."""

    exit_code = 5
