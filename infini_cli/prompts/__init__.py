"""Instructions to the model: editable text files, each of which a file of the user's may replace."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from infini_cli.errors import CliError, UsageFailure


def override_path(name: str) -> Path:
    """Where the user's own version of a prompt is looked for; it need not exist."""
    import platformdirs

    return platformdirs.user_config_path("infini") / "prompts" / f"{name}.txt"


def fill(name: str, **values: object) -> str:
    """A prompt with its `{placeholders}` filled.

    Args:
        name: `ask` or `summarize`.
        values: What goes in; each has to occur in the prompt.

    Raises:
        CliError: If the user's file cannot be read or lacks a placeholder.
    """
    own = override_path(name)
    try:
        text = own.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = (files(__name__) / f"{name}.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"the prompt {own} cannot be read: {error}", "Correct it, or remove the file.") from error
    text = text.strip()
    missing = [key for key in values if f"{{{key}}}" not in text]
    if missing:
        raise UsageFailure(f"the prompt {own} has no {{{missing[0]}}}", "Put it where it belongs, or remove the file.")
    # One pass over the prompt: braces inside a question are the person's own.
    for key, value in values.items():
        before, _, after = text.partition(f"{{{key}}}")
        text = f"{before}{value}{after}"
    return text
