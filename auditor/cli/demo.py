"""`auditor demo`: ROME staged on this machine, live and harmless."""

from __future__ import annotations

import click

from auditor.cli.options import FORMATS, choose_format


@click.command("demo")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Live view, JSON lines, or a text line an alert.")
@click.option("--pace", type=click.FloatRange(0, 60), default=1.0, show_default=True, help="Seconds between two calls.")
@click.option("--keep", is_flag=True, help="Go on after the last tool call, until Ctrl-C.")
def demo(*, format_: str | None, pace: float, keep: bool) -> int:
    """Stage ROME on this machine, live and harmless, and watch it.

    In namespaces of its own, with no way out of the machine, a stand-in agent does ordinary work, then opens a reverse
    SSH tunnel, starts stand-in miners (which compute nothing) and uses a stand-in GPU. Exits with 0 if each of these,
    and nothing else, was caught.
    """
    from auditor.demo.addresses import GPU_DEVICE  # noqa: PLC0415 - keeps `auditor --help` quick
    from auditor.demo.show import Show  # noqa: PLC0415
    from auditor.demo.stage import check_host  # noqa: PLC0415
    from auditor.host.devices import GpuRole  # noqa: PLC0415
    from auditor.host.selectors import parse  # noqa: PLC0415
    from auditor.live.options import Options  # noqa: PLC0415
    from auditor.live.run import run  # noqa: PLC0415

    chosen = choose_format(format_, 1)
    check_host()
    with Show(pace, keep=keep) as show:
        options = Options(
            selectors=(parse(f"pid:{show.agent_pid}"),),
            format=chosen,
            alerts=show.alerts,
            on_ready=show.cue,
            stand_in_devices=((kernel_number(*GPU_DEVICE), GpuRole.CTL),),
        )
        code = run(options)
        good, lines = show.verdict()
    for line in lines:
        click.echo(line, err=chosen == "json")
    return code or (0 if good else 1)


def kernel_number(major: int, minor: int) -> int:
    """Pack a device number as the kernel keeps it, which is not as user space's dev_t."""
    return major << 20 | minor
