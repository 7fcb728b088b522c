"""Finding the kernel's file systems, mounted or not, without changing what is mounted on the host."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

from auditor.errors import HostError
from auditor.host import procfs

# The mount calls that came with Linux 5.2 have one number on every architecture that Python runs on.
_FSOPEN: Final = 430
_FSCONFIG: Final = 431
_FSMOUNT: Final = 432
_CLOSE_ON_EXEC: Final = 1  # FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
_CONFIGURE_CREATE: Final = 6  # FSCONFIG_CMD_CREATE
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_TRACEFS: Final = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")

_libc = ctypes.CDLL(None, use_errno=True)


def cgroup_mount() -> Path | None:
    """Where the whole cgroup v2 hierarchy is mounted, or None. Hybrid hosts have it in /sys/fs/cgroup/unified."""
    for mount in procfs.mounts():
        if mount.kind == "cgroup2" and mount.root == "/":
            return Path(mount.path)
    return None


def open_cgroup_root() -> int:
    """Open the root of the cgroup v2 hierarchy: a directory's descriptor, the caller's to close.

    Raises HostError where it is not mounted and cannot be reached unmounted either.
    """
    path = cgroup_mount()
    return detached("cgroup2") if path is None else os.open(path, _DIRECTORY)


def open_tracefs() -> int:
    """Open tracefs: a directory's descriptor, the caller's to close. Raises HostError where there is none."""
    for path in _TRACEFS:
        if Path(path, "events").is_dir():
            return os.open(path, _DIRECTORY)
    return detached("tracefs")


def detached(kind: str) -> int:
    """Open the root directory of a file system that is mounted nowhere, and stays so: the descriptor alone holds it.

    Raises HostError without root, or where the kernel has no such file system.
    """
    context = mount = -1
    try:
        context = _call(_FSOPEN, ctypes.c_char_p(kind.encode()), _CLOSE_ON_EXEC)
        _call(_FSCONFIG, context, _CONFIGURE_CREATE, None, None, 0)
        mount = _call(_FSMOUNT, context, _CLOSE_ON_EXEC, 0)
        return os.open(".", _DIRECTORY, dir_fd=mount)
    except OSError as error:
        raise HostError(f"cannot reach {kind}: {error.strerror} (run as root, on Linux 5.2 or newer)") from error
    finally:
        for fd in (context, mount):
            if fd >= 0:
                os.close(fd)


def _call(number: int, *arguments: object) -> int:
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
