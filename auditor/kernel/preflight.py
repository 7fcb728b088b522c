"""What this host allows: each thing the probes need, looked at one by one, with what to do where it is missing."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from auditor.errors import HostError
from auditor.kernel.btf import constants
from auditor.kernel.catalog import HOOKS, OFFSETS, SIZES
from auditor.kernel.compile import import_bcc

_LOCKDOWN: Final = Path("/sys/kernel/security/lockdown")

CAPABILITIES: Final = {
    "CAP_BPF": 39,
    "CAP_PERFMON": 38,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
}
"""What a run needs, with the numbers of include/uapi/linux/capability.h."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    """What was found, or why it does not work and what to do."""
    needed: bool = True
    """Whether a run is impossible without it."""
    costs: str = ""
    """Of a hook: what it costs a process that is not watched."""


def check_host() -> list[Check]:
    """Look at everything that can be told without loading a probe."""
    uname = os.uname()
    return [
        Check("kernel", _release(uname.release) >= (5, 8), f"{uname.release} (5.8 or later is needed)"),
        Check("architecture", uname.machine == "x86_64", f"{uname.machine} (x86_64 is supported)"),
        _checked("btf", lambda: f"{len(constants(OFFSETS, SIZES))} offsets found"),
        Check("root", os.geteuid() == 0, "yes" if os.geteuid() == 0 else "no: run with sudo"),
        _capabilities(),
        _lockdown(),
        _checked("bcc", _bcc_version),
        Check("libbpf", True, _libbpf_version(), needed=False),
    ]


def check_tracefs(directory: int | HostError) -> Check:
    """Look at the tracepoints attached on demand; `directory` is a descriptor of tracefs, or why there is none."""
    if isinstance(directory, HostError):
        return Check("tracefs", False, str(directory))
    wanted = [hook.target for hook in HOOKS if hook.kind == "tracepoint"]
    missing = [target for target in wanted if not _has_tracepoint(directory, target)]
    return Check("tracefs", not missing, f"without {', '.join(missing)}" if missing else "has the tracepoints needed")


def _has_tracepoint(directory: int, name: str) -> bool:
    try:
        os.stat(f"events/{name}/id", dir_fd=directory)
    except OSError:
        return False
    return True


def _release(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = "".join(c for c in rest.split(".")[0].split("-")[0] if c.isdigit())
    return int(major or 0), int(minor or 0)


def _checked(name: str, find: Callable[[], str]) -> Check:
    try:
        return Check(name, True, find())
    except HostError as error:
        return Check(name, False, str(error))


def _capabilities() -> Check:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError as error:
        return Check("capabilities", False, f"/proc/self/status: {error.strerror}")
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    missing = [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]
    return Check("capabilities", not missing, f"missing {', '.join(missing)}" if missing else "all that are needed")


def _lockdown() -> Check:
    try:
        text = _LOCKDOWN.read_text()
    except OSError:
        return Check("lockdown", True, "not told (securityfs is not mounted)", needed=False)
    mode = text.partition("[")[2].partition("]")[0] or "none"
    if mode == "confidentiality":  # refuses bpf_probe_read_kernel: security/lockdown, LOCKDOWN_BPF_READ_KERNEL
        return Check("lockdown", False, f"{mode}: BPF may not read kernel memory")
    return Check("lockdown", True, mode)


def _bcc_version() -> str:
    return str(import_bcc().__version__)


def _libbpf_version() -> str:
    for name in ("libbpf.so.1", "libbpf.so.0"):
        try:
            version = ctypes.CDLL(name).libbpf_version_string
        except (OSError, AttributeError):
            continue
        version.restype = ctypes.c_char_p
        return str(version().decode().removeprefix("v"))
    return "not found as a library of its own (bcc may carry it inside)"
