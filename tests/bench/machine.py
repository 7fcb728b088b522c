"""The machine that figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.toolkit import find


def describe() -> dict[str, str]:
    """Return what the machine is, by name, in the order in which it is told."""
    models = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    system = dict(line.split("=", 1) for line in _lines("/etc/os-release") if "=" in line)
    memory = int(next(line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")))
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": platform.release(),
        "system": system.get("PRETTY_NAME", "unknown").strip('"'),
        "CPU": f"{models[0] if models else platform.machine()}, {os.cpu_count()} CPUs",
        "memory": f"{memory / 2**20:.0f} GiB",
        "load before the run": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "bpftrace": _version("bpftrace", "--version"),
        "auditd": _version("auditctl", "-v"),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(errors="replace").splitlines()


def _version(program: str, option: str) -> str:
    path = find(program)
    if path is None:
        return "not installed"
    said = subprocess.run([path, option], capture_output=True, text=True, check=False).stdout.split()
    return said[-1] if said else "unknown"
