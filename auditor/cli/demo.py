"""`auditor demo`: ROME staged on this machine, live and harmless."""

from __future__ import annotations

import sys
from typing import cast

import click

from auditor.demo.addresses import GPU_DEVICE
from auditor.demo.show import Show
from auditor.demo.stage import check_host
from auditor.host.devices import GpuRole
from auditor.host.selectors import parse
from auditor.live.options import Format, Options
from auditor.live.run import run

KERNEL_MINOR_BITS = 20
"""Of a device number as the kernel keeps it; user space's dev_t is packed differently."""


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["tui", "text", "json"]),
    help="What to show. [default: tui on a terminal, else text]",
)
@click.option("--keep", is_flag=True, help="Go on after the last tool call, until Ctrl-C.")
@click.option(
    "--pace", type=click.FloatRange(0, 60), default=1.0, show_default=True, help="Seconds between two tool calls."
)
def demo(form: str | None, keep: bool, pace: float) -> None:
    """Stage ROME on this machine, live and harmless, and watch it.

    In namespaces of its own, with no way out of the machine, a stand-in agent does ordinary work, then opens a reverse
    SSH tunnel, starts stand-in miners (which compute nothing) and uses a stand-in GPU. Exits with 0 if each of these,
    and nothing else, was caught.
    """
    check_host()
    form = form or ("tui" if sys.stdout.isatty() else "text")
    with Show(pace, keep=keep) as show:
        major, minor = GPU_DEVICE
        code = run(
            Options(
                selectors=(parse(f"pid:{show.agent_pid}"),),
                format=cast("Format", form),
                alerts=show.alerts,
                on_ready=show.cue,
                stand_in_devices=((major << KERNEL_MINOR_BITS | minor, GpuRole.CTL),),
            )
        )
        good, lines = show.verdict()
    for line in lines:
        click.echo(line, err=form == "json")
    sys.exit(code or (0 if good else 1))
