"""The `infini` command: subcommands wired together, and every error told in two lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from infini_attention.errors import UsageFailure
from typer.main import get_command

from infini_cli.completion import COMPLETE, words_to_complete
from infini_cli.exits import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, exit_code_of, report
from infini_cli.interrupt import cleared_away
from infini_cli.options import Flags, help_and_exit
from infini_cli.output import closed_pipe_ends_quietly
from infini_cli.stopping import asked
from infini_cli.terminal import gate
from infini_cli.user_file import config_path, take_defaults
from infini_cli.values import refuse_blank

# Module, function or group in it, and what the list of commands says. A command is imported and built only when it is
# the one that runs: building all of them would make `infini --help` slow.
COMMANDS = {
    "read": ("read", "read", "Read documents into a memory state."),
    "summarize": ("summarize", "summarize", "Summarise documents, or what a state has read."),
    "ask": ("ask", "ask", "Ask about documents, or what a state has read."),
    "passkey-test": ("evaluation", "passkey", "Test what memory still knows, by length and depth."),
    "eval": ("evaluation", "app", "Measure what a model still knows of what it has read."),
    "adapt": ("adapt", "adapt", "Train the memory path of a base model."),
    "models": ("models", "app", "List, fetch and show models."),
    "state": ("state", "app", "Show and verify saved states, and forget their text."),
    "prompts": ("prompts", "app", "List, show and copy the instructions that the model is given."),
    "schema": ("schema", "schema", "List or print the schemas of JSON output."),
}
ALIASES = {"summarise": "summarize", "passkey": "passkey-test"}


def build(chosen: str | None) -> typer.Typer:
    """The application.

    Args:
        chosen: The subcommand that is going to run; the others are only listed.
    """
    app = typer.Typer(
        name="infini",
        help="Read long documents into a memory of fixed size, and summarise them or ask about them.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    for name, (module, attribute, summary) in COMMANDS.items():
        if name != ALIASES.get(chosen or "", chosen):
            app.command(name, help=summary)(_listed_only)
            continue
        command = getattr(import_module(f"infini_cli.commands.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
            if chosen != name:
                app.command(chosen, hidden=True)(command)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; the process's own if None.

    Returns:
        The exit status.
    """
    with gate(), cleared_away():
        return _run(list(sys.argv[1:] if argv is None else argv))


def _run(arguments: list[str]) -> int:
    flags = Flags()
    try:
        with closed_pipe_ends_quietly():
            if os.environ.get(COMPLETE):
                # The shell asks what could come next: this writes it and ends the process.
                get_command(build(_subcommand(words_to_complete(os.environ)))).main([], prog_name="infini")
            refuse_blank(arguments)
            command = get_command(build(_subcommand(arguments)))
            take_defaults(command)
            with command.make_context("infini", arguments, obj=flags) as context:
                command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _trace(flags)
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in two lines
        _trace(flags)
        if asked():
            return EXIT_INTERRUPTED
        report(explained(error), sys.stderr)
        return exit_code_of(error)
    return EXIT_OK


def _subcommand(arguments: Sequence[str]) -> str | None:
    """Options before the subcommand take no values, so the first other word is its name."""
    return next((argument for argument in arguments if not argument.startswith("-")), None)


def _root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as version_of

        try:
            typer.echo(f"infini {version_of('infini')}")
        except PackageNotFoundError:
            typer.echo("infini (run from its sources, not installed)")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        help_and_exit(ctx)


def _listed_only() -> None:
    """Stands for a subcommand that does not run this time."""


def _trace(flags: Flags) -> None:
    if flags.debug:
        import traceback

        traceback.print_exc()


def explained(error: Exception) -> Exception:
    """Typer's usage errors in the form of our own; others as they are."""
    format_message = getattr(error, "format_message", None)
    if format_message is None or getattr(error, "exit_code", None) != EXIT_USAGE:
        return error
    context = getattr(error, "ctx", None)
    command = "infini" if context is None else context.command_path
    return UsageFailure(str(format_message()).rstrip(".") + _where(error), f"See: {command} --help")


def _where(error: Any) -> str:
    """Where a wrong value was found, if not on the command line."""
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    source = None if context is None or parameter is None else context.get_parameter_source(parameter.name)
    places = {"ENVIRONMENT": getattr(parameter, "envvar", ""), "DEFAULT_MAP": config_path()}
    return f" (in {places[source.name]})" if source is not None and source.name in places else ""
