"""What the auditor takes when nothing happens: time to start, memory, CPU."""

from __future__ import annotations

import subprocess
import time
from dataclasses import asdict
from typing import Any

from tests.bench import processes
from tests.bench.agent import Agent
from tests.bench.auditor import Auditor
from tests.bench.figures import Spread
from tests.bench.stream import Stream
from tests.bench.toolkit import BenchError, Toolkit, python, report


def measure(toolkit: Toolkit, *, starts: int, idle_s: float) -> dict[str, Any]:
    """Start it several times; then look at one that watches an agent that does nothing."""
    times = [_start(toolkit) for _ in range(starts)]
    report(f"footprint: {starts} starts")
    with Agent(toolkit) as agent, Auditor(toolkit, agent.pid) as auditor:
        pids = auditor.pids
        rss, pss = processes.memory_kib(pids)
        each = {f"{processes.name(pid)} {pid}": processes.memory_kib([pid]) for pid in pids}
        before, begun = sum(map(processes.cpu_ns, pids)), time.monotonic()
        time.sleep(idle_s)
        idle = (sum(map(processes.cpu_ns, pids)) - before) / 1e9 / (time.monotonic() - begun)
    report("footprint: memory")
    return {
        "start_s": asdict(Spread.of(times)),
        "rss_kib": rss,
        "pss_kib": pss,
        "processes": {name: {"rss_kib": sizes[0], "pss_kib": sizes[1]} for name, sizes in each.items()},
        "idle_cpu": idle,
    }


def _start(toolkit: Toolkit) -> float:
    """Return seconds from the start of `auditor exec` to the arrival of the line about the command's exec."""
    begun = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    process = subprocess.Popen(
        toolkit.leash(*python("-m", "auditor", "exec", "--events", "all", "--output", "-", "--", "/bin/true")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=toolkit.folder,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    stream = Stream(process.stdout)
    stream.close()
    with process.stderr as errors:
        complaint = errors.read().decode(errors="replace")
    if process.wait() != 0 or not stream.events["exec"]:
        raise BenchError(f"auditor exec failed: {complaint.strip()}")
    return (stream.first_ns["exec"] - begun) / 1e9
