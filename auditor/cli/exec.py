"""`auditor exec`: run one command as a tool call."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.options import (
    as_text,
    check_rules,
    choose_format,
    duration_ns,
    empty,
    end_on_interrupt,
    open_for_writing,
    open_output,
    watching,
)
from auditor.errors import UsageError


@click.command("exec", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("--session", metavar="NAME", default="", help="The session's id; made from the process if not given.")
@click.option("--tool-call", metavar="ID", default="", help="The tool call's id; made from the process if not given.")
@watching
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(
    *,
    session: str,
    tool_call: str,
    format_: str | None,
    events: str,
    output: str | None,
    capture: str | None,
    rules: tuple[Path, ...],
    duration: float | None,
    command: tuple[str, ...],
) -> int:
    """Run COMMAND as one tool call, watched from its first instruction to the end of its last descendant.

    Leaves with the command's own exit code. Alerts go to standard error as text, or wherever --output says: the command
    has standard input and output for itself.
    """
    end_on_interrupt()
    from auditor.live.options import Command, Options  # noqa: PLC0415 - keeps `auditor --help` quick
    from auditor.live.run import require_root  # noqa: PLC0415
    from auditor.live.run import run as run_live  # noqa: PLC0415

    if format_ == "tui":
        raise UsageError("--format tui: the terminal is the command's; use --format json or text")
    length = duration_ns(duration)
    paths = check_rules(rules)
    require_root()
    fd = open_output(output, 2)
    chosen = choose_format(format_ or ("text" if output is None else "json"), fd)
    tape = None if capture is None else open_for_writing(capture, "--capture")
    empty(fd)
    empty(tape)
    return run_live(
        Options(
            command=Command(command, as_text(session), as_text(tool_call)),
            format=chosen,
            events="all" if events == "all" else "alerts",
            output=fd,
            capture=tape,
            rules=paths,
            duration_ns=length,
        )
    )
