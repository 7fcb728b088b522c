"""What a process that was there before the auditor looks like: a snapshot out of /proc, and its SEED record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from auditor.decode.encode import TEXT_LIMIT, encode_exec
from auditor.decode.text import strings
from auditor.host import procfs
from auditor.host.cgroups import Root
from auditor.host.inodes import Inode, inode_at
from auditor.model.events import Exec
from auditor.model.records import Flag, Kind, LabelSource, TaskId

_DELETED: Final = " (deleted)"
_MEMFD: Final = "/memfd:"
_PSEUDO_TERMINAL: Final = 136  # Linux' Documentation/admin-guide/devices.txt: Unix98 PTY slaves
_VIRTUAL_CONSOLE: Final = 4
_FIRST_SERIAL: Final = 64  # minors of major 4 from here on are serial lines


@dataclass(frozen=True, slots=True)
class ProcessSnapshot:
    """A process as /proc shows it, with the names of `auditor.model.events.Exec`.

    Start times are in ns since boot, to a clock tick. What could not be read is empty or 0, with Flag.UNREADABLE set.
    """

    tgid: int
    start_ns: int
    flags: int
    parent_tgid: int
    parent_start_ns: int
    uid: int
    gid: int
    euid: int
    egid: int
    pgid: int
    sid: int
    ns_tgid: int
    pid_ns: int
    mnt_ns: int
    net_ns: int
    inode: Inode
    """The executable's."""
    cgroup_path: str
    cgroup_id: int
    """0 where it was not asked for."""
    argv_total: int
    env_total: int
    comm: str
    tty: str
    executable: str
    cwd: str
    argv: bytes
    """As in the process's memory, each string ending in NUL; cut off at TEXT_LIMIT bytes."""
    environ: bytes

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments as text."""
        return strings(self.argv)

    @property
    def env(self) -> tuple[str, ...]:
        """`NAME=VALUE` strings as text."""
        return strings(self.environ)


def read_process(pid: int, cgroups: Root | None = None) -> ProcessSnapshot | None:
    """Read all that /proc tells about a process; None where it is gone, or went (or made way for another) meanwhile."""
    found = procfs.read_stat(pid)
    status = procfs.read_status(pid)
    if found is None or status is None:
        return None
    executable, inode, flags = _executable(pid)
    cwd = procfs.link(f"/proc/{pid}/cwd").removesuffix(_DELETED)
    flags |= 0 if cwd else Flag.UNREADABLE
    cgroup_path = procfs.cgroup_path(pid)
    argv = procfs.read_bytes(f"/proc/{pid}/cmdline", TEXT_LIMIT + 1)
    environ = procfs.read_bytes(f"/proc/{pid}/environ", TEXT_LIMIT + 1)
    flags |= Flag.ARGV_TRUNCATED if len(argv) > TEXT_LIMIT else 0
    flags |= Flag.ENV_TRUNCATED if len(environ) > TEXT_LIMIT else 0
    snapshot = ProcessSnapshot(
        tgid=pid,
        start_ns=found.start_ns,
        flags=flags,
        parent_tgid=found.parent_tgid,
        parent_start_ns=procfs.start_ns(found.parent_tgid) or 0,
        uid=status.uid,
        gid=status.gid,
        euid=status.euid,
        egid=status.egid,
        pgid=found.pgid,
        sid=found.sid,
        ns_tgid=status.ns_tgid,
        pid_ns=procfs.namespace(pid, "pid"),
        mnt_ns=procfs.namespace(pid, "mnt"),
        net_ns=procfs.namespace(pid, "net"),
        inode=inode,
        cgroup_path=cgroup_path,
        cgroup_id=cgroups.id_of(cgroup_path) if cgroups is not None and cgroup_path else 0,
        argv_total=max(found.argv_total, len(argv)),
        env_total=max(found.env_total, len(environ)),
        comm=found.comm,
        tty=terminal_name(found.tty_device),
        executable=executable,
        cwd=cwd,
        argv=argv[:TEXT_LIMIT],
        environ=environ[:TEXT_LIMIT],
    )
    # The files above were read one after the other: only an unchanged start time says that they were one process's.
    return snapshot if procfs.start_ns(pid) == snapshot.start_ns else None


def seed_record(
    snapshot: ProcessSnapshot,
    *,
    time_ns: int,
    session: int,
    call: TaskId | None = None,
    flags: int = 0,
    label_source: int = LabelSource.SEEDED,
) -> bytes:
    """Write the SEED frame of a process: EXEC's layout. `call` is its tool call's first process, None for the agent.

    `flags` (Flag.AGENT, Flag.CALL_ROOT) are added to what the snapshot itself says.
    """
    inode = snapshot.inode
    event = Exec(
        kind=Kind.SEED,
        flags=snapshot.flags | flags,
        tgid=snapshot.tgid,
        time_ns=time_ns,
        start_ns=snapshot.start_ns,
        tid=snapshot.tgid,
        session=session,
        call_start_ns=call.start_ns if call else 0,
        call_tgid=call.tgid if call else 0,
        label_source=label_source,
        parent_start_ns=snapshot.parent_start_ns,
        parent_tgid=snapshot.parent_tgid,
        uid=snapshot.uid,
        gid=snapshot.gid,
        euid=snapshot.euid,
        egid=snapshot.egid,
        pgid=snapshot.pgid,
        sid=snapshot.sid,
        ns_tgid=snapshot.ns_tgid,
        pid_ns=snapshot.pid_ns,
        mnt_ns=snapshot.mnt_ns,
        net_ns=snapshot.net_ns,
        dev=inode.dev,
        cgroup_id=snapshot.cgroup_id,
        ino=inode.ino,
        size=inode.size,
        mtime_ns=inode.mtime_ns,
        ctime_ns=inode.ctime_ns,
        mode=inode.mode,
        nlink=inode.nlink,
        argv_total=snapshot.argv_total,
        env_total=snapshot.env_total,
        comm=snapshot.comm,
        tty=snapshot.tty,
        executable=snapshot.executable,
        cwd=snapshot.cwd,
        args=(),
        env=(),
    )
    return encode_exec(event, argv=snapshot.argv, env=snapshot.environ)


def terminal_name(device: int) -> str:
    """Name a terminal as the kernel does, by its number in /proc/PID/stat: `pts0`, `tty1`, `ttyS0`; empty for none."""
    if device == 0:
        return ""
    major, minor = (device >> 8) & 0xFFF, (device & 0xFF) | (device >> 12) & 0xFFF00
    if major == _PSEUDO_TERMINAL:
        return f"pts{minor}"
    if major == _VIRTUAL_CONSOLE:
        return f"tty{minor}" if minor < _FIRST_SERIAL else f"ttyS{minor - _FIRST_SERIAL}"
    return f"{major}:{minor}"


def _executable(pid: int) -> tuple[str, Inode, int]:
    """Return path, inode and flags of what the process runs; a kernel thread runs no file."""
    path, inode, flags = procfs.link(f"/proc/{pid}/exe"), Inode(*[0] * len(Inode._fields)), 0
    try:
        inode = inode_at(f"/proc/{pid}/exe")
    except OSError:
        return path, inode, Flag.UNREADABLE
    if inode.nlink == 0 and path.startswith(_MEMFD):
        flags = Flag.DELETED | Flag.MEMFD  # keeps its "(deleted)": a decoded exec has it too
    elif inode.nlink == 0:
        path, flags = path.removesuffix(_DELETED), Flag.DELETED
    return path, inode, flags
