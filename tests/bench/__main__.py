"""`scripts/bench`: measure, and say what was measured."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tests.bench import floods, footprint, latency, machine, overhead, rules
from tests.bench.results import tables
from tests.bench.tables import Table, render_all, replace_between
from tests.bench.toolkit import BenchError, Toolkit, report

Part = Callable[[Toolkit], dict[str, Any]]

FULL: dict[str, Part] = {
    "footprint": lambda toolkit: footprint.measure(toolkit, starts=9, idle_s=10),
    "latency": lambda toolkit: latency.measure(toolkit, offences=200, new_files=30),
    "floods": lambda toolkit: floods.measure(toolkit, seconds=5),
    "overhead": lambda toolkit: overhead.measure(toolkit, rounds=20, peer_rounds=6, length=1),
    "rules": lambda toolkit: rules.measure(toolkit, events=60_000, peer_events=5_000, checked=3_000),
}
QUICK: dict[str, Part] = {
    "footprint": lambda toolkit: footprint.measure(toolkit, starts=2, idle_s=1),
    "latency": lambda toolkit: latency.measure(toolkit, offences=20, new_files=3),
    "floods": lambda toolkit: floods.measure(toolkit, seconds=0.5),
    "overhead": lambda toolkit: overhead.measure(toolkit, rounds=1, peer_rounds=1, length=0.1),
    "rules": lambda toolkit: rules.measure(toolkit, events=400, peer_events=50, checked=50),
}
"""The same, only to see that it works: its figures mean nothing."""

_WITHOUT_ROOT = "rules"
"""The part that watches nothing."""

_IDLE = 0.5
"""The load average (of a minute) up to which a machine is quiet."""

DOCUMENT = Path(__file__).parents[2] / "docs" / "overhead.md"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure, of {', '.join(FULL)}; all if none")
    parser.add_argument("--quick", action="store_true", help="only see that it works; the figures mean nothing")
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/overhead.md")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in FULL]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    if options.write and (options.parts or options.quick):
        parser.error("--write wants everything measured: neither parts nor --quick")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        if options.write:
            _write("")  # before the minutes that it takes to have something to write
        results = _measure(QUICK if options.quick else FULL, options.parts or list(FULL))
        text = render_all([_machine_table(results["machine"]), *tables(results)])
        if options.write:
            _write(text)
    except BenchError as error:
        report(str(error))
        sys.exit(1)
    sys.stdout.write(json.dumps(results, indent=1) + "\n" if options.json else text)


def _measure(parts: dict[str, Part], names: list[str]) -> dict[str, Any]:
    if os.geteuid() != 0 and names != [_WITHOUT_ROOT]:
        raise BenchError("measuring needs root, because what is measured does: run it with sudo")
    results: dict[str, Any] = {"machine": machine.describe()}
    if os.getloadavg()[0] > _IDLE:
        report("this machine is busy: what it measures now is noise")
    with tempfile.TemporaryDirectory(prefix="auditor-bench-", ignore_cleanup_errors=True) as folder:
        # The auditor's engine is nobody, and what it is given to run must be readable.
        Path(folder).chmod(0o755)
        toolkit = Toolkit(Path(folder))
        for name, measure in parts.items():
            if name in names:
                results[name] = measure(toolkit)
    return results


def _write(text: str) -> None:
    try:
        document = replace_between(DOCUMENT.read_text(), text)
        if text:
            DOCUMENT.write_text(document)
    except (OSError, ValueError) as error:
        raise BenchError(f"{DOCUMENT}: {error}") from error


def _machine_table(described: dict[str, str]) -> Table:
    return Table("Machine", [["", ""], *(list(pair) for pair in described.items())])


def _leave(number: int, _: FrameType | None) -> NoReturn:
    """Unwind, so that whatever was started is stopped."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
