"""`auditor doctor`: what this host allows."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document instead of a table.")
def doctor(*, as_json: bool) -> int:
    """Say what this host allows: kernel, rights, libraries, and each hook with what it costs.

    Leaves with 0 only where `auditor run` would work.
    """
    from auditor.live.diagnosis import diagnose  # noqa: PLC0415 - keeps `auditor --help` quick

    checks = diagnose()
    works = all(check.ok or not check.needed for check in checks)
    if as_json:
        click.echo(json.dumps({"works": works, "checks": [asdict(check) for check in checks]}, indent=2))
        return 0 if works else 1
    width = max(len(check.name) for check in checks)
    for check in checks:
        state = "ok" if check.ok else ("MISSING" if check.needed else "absent")
        cost = f" (costs others {check.costs})" if check.costs and check.ok else ""
        click.echo(f"{state:<8}{check.name:<{width}}  {check.found}{cost}")
    click.echo("auditor run works here" if works else "auditor run does not work here: see MISSING above")
    return 0 if works else 1
