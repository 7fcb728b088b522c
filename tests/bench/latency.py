"""From system call to alert: how long after a program was started the line about it arrives."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.auditor import Auditor
from tests.bench.figures import Spread, percentile
from tests.bench.toolkit import BenchError, Toolkit, report

_INTERVAL_MS = (31, 71)
"""Between two offences: no multiple of the time between two looks at the ring, to fall anywhere in between."""
_PATIENCE_S = 30


def measure(toolkit: Toolkit, *, offences: int, new_files: int) -> dict[str, Any]:
    """Have a harmless program started as miners are, many times, each a tool call of its own.

    Once as one file, once as many files, each of which is seen for the first time and must be read before it is judged.
    """
    small, large = Path("/bin/true").resolve(), Path(sys.executable).resolve()
    known = [shutil.copy(small, toolkit.folder / "worker")]
    fresh = [shutil.copy(large, toolkit.folder / f"worker-{number}") for number in range(new_files)]
    results = {}
    for name, count, files in (("known", offences, known), ("new", new_files, fresh)):
        results[name] = _offend(toolkit, count, [Path(file) for file in files])
        report(f"latency: {count} offences")
    for file in fresh:
        Path(file).unlink()
    return {**results, "new_file_bytes": large.stat().st_size}


def _offend(toolkit: Toolkit, count: int, files: list[Path]) -> dict[str, Any]:
    low, high = _INTERVAL_MS
    command = toolkit.leash(toolkit.loads, "offend", str(count), str(low), str(high), *files, own_network=True)
    agent = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=toolkit.folder
    )
    assert agent.stdin is not None
    try:
        with Auditor(toolkit, agent.pid) as auditor:
            agent.stdin.write(b"!")
            agent.stdin.flush()
            stream = auditor.stream
            patience = count * high / 1000 * 2 + _PATIENCE_S
            if not stream.wait(lambda: len(stream.alerts) >= count, patience):
                raise BenchError(f"{len(stream.alerts)} alerts for {count} offences within {patience:.0f} s")
    finally:
        agent.kill()
        agent.wait()
        agent.stdin.close()
    delays = [(alert.arrived_ns - alert.started_ns) / 1e6 for alert in stream.alerts]
    return {"ms": asdict(Spread.of(delays)), "p95_ms": percentile(delays, 0.95)}
