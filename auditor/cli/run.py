"""`auditor run`: watch a node."""

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


@click.command("run")
@click.option(
    "--agent",
    "agents",
    metavar="SELECTOR",
    multiple=True,
    help="An agent to watch: pid:NUMBER, exe:GLOB, cmdline:REGEX, cgroup:PATH or env:NAME[=VALUE]. Repeatable.",
)
@watching
def run(
    *,
    agents: tuple[str, ...],
    format_: str | None,
    events: str,
    output: str | None,
    capture: str | None,
    rules: tuple[Path, ...],
    duration: float | None,
) -> int:
    """Watch what agents start on this machine, until Ctrl-C.

    Whatever an agent starts is watched from then on, whatever becomes of it; what it had started before is taken in.
    Each child of an agent is a tool call.
    """
    end_on_interrupt()
    from auditor.host.selectors import parse  # noqa: PLC0415 - keeps `auditor --help` quick
    from auditor.live.options import Options  # noqa: PLC0415
    from auditor.live.run import require_root  # noqa: PLC0415
    from auditor.live.run import run as run_live  # noqa: PLC0415

    if not agents:
        raise UsageError("name at least one agent to watch, as --agent pid:1234 or --agent 'exe:*/claude'")
    selectors = tuple(parse(as_text(agent)) for agent in agents)
    length = duration_ns(duration)
    paths = check_rules(rules)
    require_root()
    fd = open_output(output, 1)
    chosen = choose_format(format_, fd)
    tape = None if capture is None else open_for_writing(capture, "--capture")
    empty(fd)
    empty(tape)
    return run_live(
        Options(
            selectors=selectors,
            format=chosen,
            events="all" if events == "all" else "alerts",
            output=fd,
            capture=tape,
            rules=paths,
            duration_ns=length,
        )
    )
