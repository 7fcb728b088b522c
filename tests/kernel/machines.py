"""What auditor did on each kernel that `scripts/test-kernels` tried, as a table; run by it.

Each argument is a folder named after what was tried, in which `out` holds what was written there.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final, NamedTuple

WANTED: Final = {"fork": 5, "exec": 4, "exit": 5, "gpu-open": 1, "send": 2, "connect": 3}
"""What the scene of `scripts/test-kernels` does."""
WANTED_STATUS: Final = 7
WANTED_ALERT: Final = "GPU used by an agent, then a connection to a mining pool"
MADE_UP: Final = "vgem"
"""The driver whose card the scene asks, where the kernel has it: then there is a request to be seen as well."""

_COLUMNS: Final = ("tried", "kernel", "bcc", "doctor", "refused", "events", "alert", "tests", "result")


class Found(NamedTuple):
    """What one machine wrote."""

    release: str
    done: bool
    checks: list[dict[str, Any]]
    """Doctor's."""
    actions: Counter[str]
    alerts: set[str]
    wanted: dict[str, int]
    statuses: tuple[str, str]
    """Of `auditor exec`, which compiles the probes the first time and has kept them the second."""
    tests: str
    """How the user's own command went."""


def read(folder: Path) -> Found:
    """Read what a machine wrote, as far as it got."""
    out = folder / "out"
    actions, alerts = _events(out / "events")
    return Found(
        release=_text(out / "release") or "-",
        done=(out / "done").exists(),
        checks=_checks(out / "doctor"),
        actions=actions,
        alerts=alerts,
        wanted=WANTED | ({"gpu-use": 1} if MADE_UP in _text(out / "modules").split() else {}),
        statuses=(_text(out / "status") or "nothing", _text(out / "status-again") or "nothing"),
        tests={"": "-", "0": "passed"}.get(_text(out / "command-status"), "failed"),
    )


def problems(found: Found) -> list[str]:
    """Say what is wrong, one line each."""
    lines = [] if found.done else ["it did not come to its end"]
    lines += [f"{check['name']}: {check['found']}" for check in found.checks if not check["ok"]]
    if not found.checks:
        lines.append("doctor said nothing")
    for action, count in (found.wanted | {"loss": 0}).items():
        if found.actions[action] != count:
            lines.append(f"{action}: {found.actions[action]} seen, {count} wanted")
    if WANTED_ALERT not in found.alerts:
        lines.append(f"no alert {WANTED_ALERT!r} among {sorted(found.alerts)}")
    if found.statuses != (str(WANTED_STATUS),) * 2:
        lines.append(f"auditor exec left with {' and '.join(found.statuses)}, the commands with {WANTED_STATUS}")
    if found.tests == "failed":
        lines.append("AUDITOR_KERNEL_COMMAND failed: see out/command-log")
    return lines


def row(name: str, found: Found) -> tuple[str, ...]:
    """Draw the table's row of one machine."""
    refused = [check for check in found.checks if not check["ok"]]
    hooks = [check["name"].removeprefix("hook ") for check in refused if check["name"].startswith("hook ")]
    return (
        name,
        found.release,
        next((check["found"] for check in found.checks if check["name"] == "bcc"), "-"),
        "works" if found.checks and not any(check["needed"] for check in refused) else "does not work",
        ", ".join(hooks) or "none",
        " ".join(f"{action} {found.actions[action]}" for action in found.wanted),
        "yes" if WANTED_ALERT in found.alerts else "no",
        found.tests,
        "FAILED" if problems(found) else "good",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _checks(path: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads(path.read_text())["checks"])
    except (OSError, ValueError):
        return []


def _events(path: Path) -> tuple[Counter[str], set[str]]:
    """Count the events by action, and collect the alerts by name."""
    actions: Counter[str] = Counter()
    alerts: set[str] = set()
    for line in _text(path).splitlines():
        document = json.loads(line)
        if document["event"]["kind"] == "alert":
            alerts.add(document["rule"]["name"])
        else:
            actions[document["event"]["action"]] += 1
    return actions, alerts


def main(folders: list[Path]) -> int:
    """Print the table, and below it what is wrong; 0 if nothing is."""
    machines = {folder.name: read(folder) for folder in folders}
    rows = [_COLUMNS, *(row(name, found) for name, found in machines.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows]
    wrong = [f"{name}: {problem}" for name, found in machines.items() for problem in problems(found)]
    sys.stdout.write("\n".join([*lines, *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
