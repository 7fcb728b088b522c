"""The command line: one module a command, loaded when it is asked for, and the one place that catches errors."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from auditor import __version__
from auditor.errors import AuditorError

COMMANDS: Final = {
    "run": "auditor.cli.run",
    "exec": "auditor.cli.exec",
    "replay": "auditor.cli.replay",
    "rules": "auditor.cli.rules",
    "doctor": "auditor.cli.doctor",
    "demo": "auditor.cli.demo",
}
"""Name to module; the module's command object is named as the command, with an underscore behind a Python word."""


class LazyGroup(click.Group):
    """A group that imports a command's module only to run it or to describe it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name])
        command: click.Command = getattr(module, cmd_name if hasattr(module, cmd_name) else f"{cmd_name}_")
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name="auditor")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Watch what an AI agent's tool calls do to this machine, from the kernel up."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


def main() -> None:
    """Run the command line and leave with its exit code. A user's error is one line, never a traceback."""
    try:
        code = cli(prog_name="auditor", standalone_mode=False)
    except click.exceptions.Exit as request:
        code = request.exit_code
    except click.Abort:
        code = 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = f" (see `{context.command_path} --help`)" if context else ""
        _complain(f"{' '.join(error.format_message().split())}{where}")
        code = error.exit_code
    except AuditorError as error:
        _complain(str(error))
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read standard output has gone. Nothing more can be said there, not even when Python flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> None:
    for line in message.splitlines() or [""]:
        # The message may quote what a user or a file said.
        printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        click.echo(f"auditor: {printable}", err=True)
