"""The only reader of /proc. Processes come and go while it reads: what is gone is None or left out, never an error."""

from __future__ import annotations

import os
import stat
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from auditor.decode.text import text
from auditor.host.inodes import inode_at

TICK_NS: Final = 10_000_000
"""Length of the clock tick in which /proc counts start times; USER_HZ is 100 on every Linux that Python runs on."""

_READ_LIMIT: Final = 1 << 20
_STATUS: Final = frozenset((b"Uid", b"Gid", b"NStgid"))


class Stat(NamedTuple):
    """What /proc/PID/stat says. `start_ns` is in ns since boot, a multiple of TICK_NS; the last two are in bytes."""

    tgid: int
    comm: str
    state: str
    parent_tgid: int
    pgid: int
    sid: int
    tty_device: int
    start_ns: int
    argv_total: int
    env_total: int


class Status(NamedTuple):
    """What /proc/PID/status says about who the process is. `ns_tgid` is its pid in its own pid namespace."""

    uid: int
    gid: int
    euid: int
    egid: int
    ns_tgid: int


class Mount(NamedTuple):
    """One line of mountinfo: the file system's kind, which of its directories is mounted, and where."""

    kind: str
    root: str
    path: str


def read_stat(pid: int) -> Stat | None:
    """Read the process's stat line, or return None where there is no such process."""
    data = read_bytes(f"/proc/{pid}/stat")
    # The name in the parentheses is the process's to choose: it may hold blanks and parentheses of its own.
    head, closing, tail = data.rpartition(b")")
    if not closing:
        return None
    comm = text(head.partition(b"(")[2])
    fields = tail.split()
    numbers = [int(field) for field in fields[1:]]
    arg_start, arg_end, env_start, env_end = numbers[44:48]
    return Stat(
        tgid=pid,
        comm=comm,
        state=text(fields[0]),
        parent_tgid=numbers[0],
        pgid=numbers[1],
        sid=numbers[2],
        tty_device=numbers[3],
        start_ns=numbers[18] * TICK_NS,
        argv_total=max(0, arg_end - arg_start),
        env_total=max(0, env_end - env_start),
    )


def read_status(pid: int) -> Status | None:
    """Read the process's ids, or return None where there is no such process."""
    lines = {
        key: value.split()
        for key, _, value in (line.partition(b":") for line in read_bytes(f"/proc/{pid}/status").splitlines())
        if key in _STATUS
    }
    if len(lines) < len(_STATUS):
        return None
    uids, gids = lines[b"Uid"], lines[b"Gid"]
    return Status(int(uids[0]), int(gids[0]), int(uids[1]), int(gids[1]), int(lines[b"NStgid"][-1]))


def start_ns(pid: int) -> int | None:
    """Return when the process started, in ns since boot to TICK_NS; None where it is gone."""
    found = read_stat(pid)
    return None if found is None else found.start_ns


def cpu_ns(pid: int) -> int:
    """CPU time that the process has used, in ns to TICK_NS, without that of its children; 0 where it is gone."""
    fields = read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_NS if len(fields) > 12 else 0


def all_pids() -> list[int]:
    """Return every process, kernel threads too, by rising pid."""
    return sorted(int(name) for name in _names("/proc") if name.isdigit())


def children_of(pids: Iterable[int]) -> list[int]:
    """Return every living descendant of these processes, parents before their children; the given ones are left out."""
    roots = set(pids)
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pid in all_pids():
        found = read_stat(pid)
        if found is not None:
            children[found.parent_tgid].append(pid)
    order: list[int] = []
    seen = set(roots)
    waiting = sorted(roots)
    for parent in waiting:
        fresh = [child for child in children[parent] if child not in seen]
        seen.update(fresh)
        order += fresh
        waiting += fresh
    return order


def open_devices(pid: int) -> set[int]:
    """Return the numbers (the kernel's dev_t) of the character devices that the process holds open."""
    found = set()
    for name in _names(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        with suppress(OSError):
            if link(path).startswith("/"):  # sockets, pipes and the like have no path
                inode = inode_at(path)
                if stat.S_ISCHR(inode.mode):
                    found.add(inode.rdev)
    return found


def cgroup_path(pid: int) -> str:
    """Return the process's cgroup (v2) below the hierarchy's root, `/` for the root; empty where there is none."""
    for line in read_bytes(f"/proc/{pid}/cgroup").splitlines():
        if line.startswith(b"0::"):
            return os.fsdecode(line[3:]).removesuffix(" (deleted)")
    return ""


def namespace(pid: int, kind: str) -> int:
    """Return the inode number of the process's `pid`, `mnt` or `net` namespace; 0 where it cannot be read."""
    number = link(f"/proc/{pid}/ns/{kind}").rpartition("[")[2].rstrip("]")
    return int(number) if number.isdigit() else 0


def link(path: str) -> str:
    """Return where a link in /proc leads, as text; empty where it is gone or may not be read."""
    try:
        return text(os.readlink(os.fsencode(path)))  # noqa: PTH115 - bytes in, bytes out
    except OSError:
        return ""


def reopen(fd: int) -> int:
    """Open for reading what `fd` names, though it may have been opened with O_PATH only. Raises OSError."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def mounts() -> Iterator[Mount]:
    """List what is mounted in this process's mount namespace, in the order in which it was mounted."""
    for line in read_bytes("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(b" - ")
        fields = left.split(b" ")
        if len(fields) > 4 and right:
            yield Mount(text(right.split(b" ")[0]), _unescaped(fields[3]), _unescaped(fields[4]))


def character_devices() -> list[tuple[str, int]]:
    """Return (name, major) of every registered character device."""
    section = read_bytes("/proc/devices").partition(b"Block devices:")[0]
    pairs = (line.split(maxsplit=1) for line in section.splitlines())
    return [(text(pair[1].strip()), int(pair[0])) for pair in pairs if len(pair) == 2 and pair[0].isdigit()]


def boot_id() -> str:
    """Return the kernel's name for this boot: a UUID."""
    return text(read_bytes("/proc/sys/kernel/random/boot_id").strip())


def wall_offset_ns() -> int:
    """Return the nanoseconds to add to a time since boot to have one since 1970."""
    # The second clock is read between two readings of the first, so that a pause in between is shared out.
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    wall = time.time_ns()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return wall - (before + after) // 2


def host_name() -> str:
    """Return this host's name."""
    return os.uname().nodename


def kernel_release() -> str:
    """Return the running kernel's release, as `uname -r` says it."""
    return os.uname().release


def read_bytes(path: str, limit: int = _READ_LIMIT) -> bytes:
    """Read at most `limit` bytes of a file in /proc; empty where it is gone or may not be read."""
    parts: list[bytes] = []
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        while limit > 0:
            part = os.read(fd, min(limit, 65536))
            if not part:
                break
            parts.append(part)
            limit -= len(part)
    except OSError:  # the process ended between opening and reading
        return b""
    finally:
        os.close(fd)
    return b"".join(parts)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 - half the time of pathlib, and names are all we need
    except OSError:
        return []


def _unescaped(field: bytes) -> str:
    # mountinfo writes blank, tab, newline and backslash as a backslash and three octal digits.
    for octal in (b"\\040", b"\\011", b"\\012", b"\\134"):
        field = field.replace(octal, bytes([int(octal[1:], 8)]))
    return os.fsdecode(field)
