r"""Events: decoded records, one type a kind.

Each type opens with the same ten fields as a record's header. They are written out in every class rather than nested,
because building one flat NamedTuple is what a hundred thousand connects a second can afford.

Text that a watched process chose (argv, paths, names) is decoded as UTF-8; bytes that are not UTF-8 stand as `\\xNN`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias


class Fork(NamedTuple):
    """A process came into being. The header's task is the child; its label is already inherited."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    parent_start_ns: int
    parent_tgid: int
    parent_tid: int
    comm: str


class Exec(NamedTuple):
    """A process runs a new program (kind EXEC), or was found running one at the start (kind SEED)."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    parent_start_ns: int
    parent_tgid: int
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
    dev: int
    cgroup_id: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    nlink: int
    argv_total: int
    env_total: int
    comm: str
    tty: str
    executable: str
    cwd: str
    args: tuple[str, ...]
    env: tuple[str, ...]
    """`NAME=VALUE` strings, the first 4 KiB of them."""


class Exit(NamedTuple):
    """The last thread of a process ended. `status` is as wait(2) gives it."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    status: int


class Connect(NamedTuple):
    """A socket was connected (kind CONNECT), or sent its first datagram to an address (kind SEND)."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    cookie: int
    ip: str
    """Canonical text; an IPv4-mapped IPv6 address stands as its IPv4 address."""
    port: int
    transport: str
    """`tcp`, `udp`, or the protocol's number as text."""
    scope: str
    """Where the address lies: see `auditor.decode.scope`."""


class GpuOpen(NamedTuple):
    """A process asked to open (or make) a GPU device node; whether the driver let it is not known here."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    device: str
    """The device's usual path, from its number: `/dev/nvidia0`."""
    role: str
    access: str
    """Letters of `mknod`, `read`, `write` joined by commas."""


class GpuUse(NamedTuple):
    """The first ioctl of a process on a GPU device since the watch on it began."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    device: str
    role: str
    request: str
    """The request's name where known (`NV_ESC_RM_ALLOC`), else its number in hexadecimal."""
    result: int


class GpuSummary(NamedTuple):
    """What a process asked of a GPU device over an interval, counted in the kernel."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    device: str
    role: str
    interval_ns: int
    total: int
    errors: int
    requests: tuple[tuple[str, int], ...]
    """(request, count), most first; what did not fit is under `other`."""


class Executable(NamedTuple):
    """Facts about an executable file, read from the file itself. Identified by device, inode, size and change time."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    dev: int
    ino: int
    size: int
    ctime_ns: int
    status: str
    """`ok`, or why there are no facts, or not all.

    `not-elf`, `malformed`, `too-large`, `timeout`, `crashed`, `unreadable`.
    """
    format: str
    """`elf`, `script`, `other`."""
    libraries: tuple[str, ...]
    marks: tuple[str, ...]
    """What telling strings, symbols and section names say: `miner:stratum`, `packer:upx`, `client:openssh`, ..."""
    build_id: str
    language: str
    static: bool
    interpreter: str


class Session(NamedTuple):
    """A session's name and root. Comes before the first event of the session."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    id: str
    selector: str
    """What chose it: `pid:1234`, `exe:*/claude`, `exec`."""


class ToolCall(NamedTuple):
    """A tool call's given name. A call without one is named after its first process."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    id: str


class Start(NamedTuple):
    """Opens every stream."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    wall_offset_ns: int
    """Wall-clock time is `time_ns + wall_offset_ns`, in nanoseconds since 1970."""
    boot_id: str
    host: str
    kernel: str
    version: str
    """Of the auditor that wrote the stream."""


class Loss(NamedTuple):
    """Something was lost since the last record of this kind. Nothing is lost without one."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    counts: tuple[tuple[str, int], ...]
    """(what, how many): `ring.connect`, `ring.exec`, `label.full`, `facts.budget`, ..."""


class Tick(NamedTuple):
    """Time has passed and, up to `time_ns`, nothing else is to come."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    cpu_ns: int
    """CPU time that all processes of the auditor have used so far."""
    tracked: int
    """Processes tracked in the kernel now."""


class End(NamedTuple):
    """Closes a stream that was ended in good order."""

    kind: int
    flags: int
    tgid: int
    time_ns: int
    start_ns: int
    tid: int
    session: int
    call_start_ns: int
    call_tgid: int
    label_source: int
    reason: str


Event: TypeAlias = (
    Fork
    | Exec
    | Exit
    | Connect
    | GpuOpen
    | GpuUse
    | GpuSummary
    | Executable
    | Session
    | ToolCall
    | Start
    | Loss
    | Tick
    | End
)

Header: TypeAlias = tuple[Any, ...]
