"""CPU time and memory of other processes."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

_CPUCLOCK_SCHED = 2
"""From Linux' include/linux/posix-timers.h: a process's CPU clock is ~pid << 3 | CPUCLOCK_SCHED; it counts nanoseconds,
where /proc/PID/stat counts hundredths of a second."""


def family(pid: int) -> list[int]:
    """Return a process and all that descends from it."""
    found = [pid]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):  # a thread that has ended meanwhile
                found += map(int, tasks.read_text().split())
    return found


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process, all its threads, in nanoseconds."""
    return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)


def memory_kib(pids: list[int]) -> tuple[int, int]:
    """Return the resident memory of processes: the sum of their RSS, and what they have in proportion (PSS)."""
    rss = pss = 0
    for pid in pids:
        rolled = Path(f"/proc/{pid}/smaps_rollup").read_text()
        rss += _field(Path(f"/proc/{pid}/status").read_text(), "VmRSS")
        pss += _field(rolled, "Pss")
    return rss, pss


def name(pid: int) -> str:
    """Return the name that the kernel has for a process."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _field(text: str, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) if found else 0
