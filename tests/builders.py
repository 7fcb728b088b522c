"""Events and records for tests, with a default for everything: say only what the test is about.

`make_*` build events, `wire` turns any of them into the bytes that the kernel or the witness would have written.
Times are nanoseconds since boot. The default task is 100, started at 1 s, in session 1, in the call of task 100.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from auditor.decode import names
from auditor.decode.layout import HEADER_FIELDS
from auditor.decode.scope import scope
from auditor.decode.wire import encode, encode_exec, encode_gpu_summary, encode_record
from auditor.model.events import (
    Connect,
    End,
    Event,
    Exec,
    Executable,
    Exit,
    Fork,
    GpuOpen,
    GpuSummary,
    GpuUse,
    Loss,
    Session,
    Start,
    Tick,
    ToolCall,
)
from auditor.model.records import Kind, LabelSource

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
BOOT_ID = "0b07b07b-0000-4000-8000-000000000001"
WALL_OFFSET_NS = 1_795_255_200_000_000_000
"""Boot at 2026-11-21T10:00:00Z."""

_ROLES = {word: number for number, word in names.ROLES.items()}


def header(kind: int, tgid: int = 100, **fields: int) -> dict[str, int]:
    """Return the ten header fields. `call` (a tgid) defaults to the task itself; 0 stands for the agent."""
    start_ns = fields.pop("start_ns", tgid * 10 * MILLISECOND)
    call = fields.pop("call", fields.pop("call_tgid", tgid))
    values = {
        "kind": kind,
        "flags": 0,
        "tgid": tgid,
        "time_ns": start_ns + SECOND,
        "start_ns": start_ns,
        "tid": tgid,
        "session": 1,
        "call_start_ns": call * 10 * MILLISECOND,
        "call_tgid": call,
        "label_source": LabelSource.INHERITED,
    }
    unknown = fields.keys() - values.keys()
    assert not unknown, f"no header field {unknown}"
    return {**values, **fields}


def stream_header(kind: int, time_ns: int) -> dict[str, int]:
    """Return the header of a record that belongs to no task."""
    return {**dict.fromkeys(HEADER_FIELDS, 0), "kind": kind, "time_ns": time_ns}


def _split(kind: int, tgid: int, fields: dict[str, Any]) -> tuple[dict[str, int], dict[str, Any]]:
    of_header = {key: fields.pop(key) for key in (*HEADER_FIELDS, "call") if key in fields}
    return header(of_header.pop("kind", kind), of_header.pop("tgid", tgid), **of_header), fields


def make_fork(tgid: int = 100, parent_tgid: int = 99, **fields: Any) -> Fork:
    """Make `parent_tgid` fork `tgid`."""
    head, rest = _split(Kind.FORK, tgid, fields)
    values = {
        "parent_start_ns": parent_tgid * 10 * MILLISECOND,
        "parent_tgid": parent_tgid,
        "parent_tid": parent_tgid,
        "comm": "bash",
        **rest,
    }
    return Fork(**head, **values)


def make_exec(
    tgid: int = 100, args: tuple[str, ...] = ("bash", "-c", "id"), executable: str = "", **fields: Any
) -> Exec:
    """Make `tgid` run `args`; the executable is /usr/bin/ARGS[0] unless given."""
    head, rest = _split(Kind.EXEC, tgid, fields)
    executable = executable or "/usr/bin/" + (args[0].rsplit("/", 1)[-1] if args else "true")
    parent = rest.pop("parent_tgid", 99)
    values: dict[str, Any] = {
        "parent_start_ns": parent * 10 * MILLISECOND,
        "parent_tgid": parent,
        "uid": 1000,
        "gid": 1000,
        "euid": 1000,
        "egid": 1000,
        "pgid": tgid,
        "sid": tgid,
        "ns_tgid": tgid,
        "pid_ns": 4026531836,
        "mnt_ns": 4026531841,
        "net_ns": 4026531840,
        "dev": 0x800001,
        "cgroup_id": 77,
        "ino": sum(executable.encode()),
        "size": 1000,
        "mtime_ns": WALL_OFFSET_NS - SECOND,
        "ctime_ns": WALL_OFFSET_NS - SECOND,
        "mode": 0o100755,
        "nlink": 1,
        "argv_total": sum(len(item.encode()) + 1 for item in args),
        "env_total": 0,
        "comm": executable.rsplit("/", 1)[-1][:15],
        "tty": "",
        "executable": executable,
        "cwd": "/home/agent",
        "args": tuple(args),
        "env": (),
        **rest,
    }
    values["env_total"] = values["env_total"] or sum(len(item.encode()) + 1 for item in values["env"])
    return Exec(**head, **values)


def make_exit(tgid: int = 100, status: int = 0, **fields: Any) -> Exit:
    """Make `tgid` end; `status` is as wait(2) gives it."""
    head, rest = _split(Kind.EXIT, tgid, fields)
    return Exit(**head, status=status, **rest)


def make_connect(
    tgid: int = 100, ip: str = "203.0.113.66", port: int = 22, transport: str = "tcp", **fields: Any
) -> Connect:
    """Make `tgid` connect a socket. The scope is the address's own unless given."""
    head, rest = _split(Kind.CONNECT, tgid, fields)
    values = {"cookie": 1, "scope": scope(ip), **rest}
    return Connect(**head, ip=ip, port=port, transport=transport, **values)


def make_gpu_open(tgid: int = 100, role: str = "gpu", device: str = "/dev/nvidia0", **fields: Any) -> GpuOpen:
    """Make `tgid` open a GPU device node."""
    head, rest = _split(Kind.GPU_OPEN, tgid, fields)
    return GpuOpen(**head, device=device, role=role, **{"access": "read,write", **rest})


def make_gpu_use(tgid: int = 100, role: str = "ctl", device: str = "/dev/nvidiactl", **fields: Any) -> GpuUse:
    """Make `tgid` request something of a GPU device."""
    head, rest = _split(Kind.GPU_USE, tgid, fields)
    return GpuUse(**head, device=device, role=role, **{"request": "NV_ESC_RM_ALLOC", "result": 0, **rest})


def make_gpu_summary(tgid: int = 100, **fields: Any) -> GpuSummary:
    """Sum up what `tgid` asked of a GPU device over an interval."""
    head, rest = _split(Kind.GPU_SUMMARY, tgid, fields)
    values: dict[str, Any] = {
        "device": "/dev/nvidiactl",
        "role": "ctl",
        "interval_ns": 10 * SECOND,
        "total": 5,
        "errors": 0,
        "requests": (("NV_ESC_RM_CONTROL", 3), ("NV_ESC_RM_ALLOC", 2)),
        **rest,
    }
    return GpuSummary(**head, **values)


def make_executable(of: Exec | None = None, **fields: Any) -> Executable:
    """State facts about the file that `of` runs."""
    of = of or make_exec()
    time_ns = fields.pop("time_ns", of.time_ns + 50 * MILLISECOND)
    values: dict[str, Any] = {
        "dev": of.dev,
        "ino": of.ino,
        "size": of.size,
        "ctime_ns": of.ctime_ns,
        "status": "ok",
        "format": "elf",
        "libraries": ("libc.so.6",),
        "marks": (),
        "build_id": "c0ffee",
        "language": "c",
        "static": False,
        "interpreter": "/lib64/ld-linux-x86-64.so.2",
        **fields,
    }
    return Executable(**stream_header(Kind.EXECUTABLE, time_ns), **values)


def make_session(tgid: int = 99, id: str = "s1", **fields: Any) -> Session:
    """Name session 1, whose root is `tgid`."""
    head, rest = _split(Kind.SESSION, tgid, {"call": 0, **fields})
    return Session(**head, **{"id": id, "selector": "exe:*/agent", **rest})


def make_tool_call(tgid: int = 100, id: str = "t1", **fields: Any) -> ToolCall:
    """Name the call whose first process is `tgid`."""
    head, rest = _split(Kind.TOOL_CALL, tgid, fields)
    return ToolCall(**head, id=id, **rest)


def make_start(time_ns: int = 1, **fields: Any) -> Start:
    """Open a stream."""
    values: dict[str, Any] = {
        "wall_offset_ns": WALL_OFFSET_NS,
        "boot_id": BOOT_ID,
        "host": "node-1",
        "kernel": "6.18.0",
        "version": "0.1.0",
        **fields,
    }
    return Start(**stream_header(Kind.START, time_ns), **values)


def make_loss(time_ns: int = SECOND, **counts: int) -> Loss:
    """Lose something; `ring_exec=3` stands for ("ring.exec", 3)."""
    named = tuple((what.replace("_", ".", 1), count) for what, count in (counts or {"ring_connect": 1}).items())
    return Loss(**stream_header(Kind.LOSS, time_ns), counts=named)


def make_tick(time_ns: int = SECOND, cpu_ns: int = 0, tracked: int = 0) -> Tick:
    """Let time pass: nothing before `time_ns` is still to come."""
    return Tick(**stream_header(Kind.TICK, time_ns), cpu_ns=cpu_ns, tracked=tracked)


def make_end(time_ns: int = SECOND, reason: str = "interrupted") -> End:
    """Close a stream."""
    return End(**stream_header(Kind.END, time_ns), reason=reason)


def wire(*events: Event) -> bytes:
    """Return the frames of these events, as the kernel and the witness write them."""
    return b"".join(_wire(event) for event in events)


def _wire(event: Event) -> bytes:
    fields = event._asdict()
    head = {key: fields[key] for key in HEADER_FIELDS}
    if isinstance(event, Exec):
        return encode_exec(event)
    if isinstance(event, Fork):
        return encode_record(**{**fields, "comm": event.comm.encode()[:15]})
    if isinstance(event, Exit):
        return encode_record(**head, exit_code=event.status)
    if isinstance(event, Connect):
        address = ipaddress.ip_address(event.ip)
        return encode_record(
            **head,
            cookie=event.cookie,
            address=address.packed.ljust(16, b"\0"),
            family=2 if address.version == 4 else 10,
            port=event.port,
            protocol={"tcp": 6, "udp": 17}.get(event.transport) or int(event.transport),
        )
    if isinstance(event, GpuOpen):
        major, minor = device_number(event.device)
        access = sum(bit for bit, word in ((1, "mknod"), (2, "read"), (4, "write")) if word in event.access)
        return encode_record(**head, major=major, minor=minor, access=access, role=_ROLES[event.role])
    if isinstance(event, GpuUse):
        return encode_record(
            **head,
            result=event.result,
            request=request_number(event.role, event.request),
            rdev=rdev(event.device),
            role=_ROLES[event.role],
        )
    if isinstance(event, GpuSummary):
        return encode_gpu_summary(
            event[:10],
            rdev=rdev(event.device),
            role=_ROLES[event.role],
            interval_ns=event.interval_ns,
            total=event.total,
            errors=event.errors,
            requests=[(request_number(event.role, name), count) for name, count in event.requests],
        )
    return encode(event)


def device_number(device: str) -> tuple[int, int]:
    """Return major and minor of the NVIDIA device nodes (nv-chardev-numbers.h; the uvm major is dynamic, 510 here)."""
    if device == "/dev/nvidiactl":
        return 195, 255
    if device.startswith("/dev/nvidia-uvm"):
        return 510, int(device.endswith("tools"))
    return 195, int(device.removeprefix("/dev/nvidia"))


def rdev(device: str) -> int:
    """Return the kernel's own dev_t of a device node."""
    major, minor = device_number(device)
    return major << 20 | minor


def request_number(role: str, name: str) -> int | str:
    """Return a request number that has this name."""
    if name.startswith("0x"):
        return int(name, 16)
    known = {names.request(_ROLES[role], number): number for number in range(256)}
    return known.get(name, name)
