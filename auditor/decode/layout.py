"""The layout of the records that the kernel writes: bpf/wire.h, seen from Python.

A contract test compiles wire.h and compares every size and offset with `LAYOUTS`.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from auditor.model.records import HEADER, HEADER_SIZE, Kind

HEADER_FIELDS: Final = (
    "kind",
    "flags",
    "tgid",
    "time_ns",
    "start_ns",
    "tid",
    "session",
    "call_start_ns",
    "call_tgid",
    "label_source",
)
"""The fields of `struct record_header`, in order; every event opens with them too."""


class Layout(NamedTuple):
    """One C struct: its name in wire.h, and its body's fields after the header, in order."""

    name: str
    struct: struct.Struct
    """Unpacks the whole record: the header's ten values, then one value a field."""
    fields: tuple[str, ...]

    @property
    def size(self) -> int:
        """Size in bytes of the fixed part, header included."""
        return self.struct.size


def _layout(name: str, *fields: tuple[str, str]) -> Layout:
    body = "".join(code for _, code in fields)
    return Layout(name, struct.Struct(HEADER.format + body), tuple(field for field, _ in fields))


FORK: Final = _layout(
    "fork_record",
    ("parent_start_ns", "Q"),
    ("parent_tgid", "I"),
    ("parent_tid", "I"),
    ("comm", "16s"),
)
EXEC: Final = _layout(
    "exec_record",
    ("parent_start_ns", "Q"),
    ("parent_tgid", "I"),
    ("uid", "I"),
    ("gid", "I"),
    ("euid", "I"),
    ("egid", "I"),
    ("pgid", "I"),
    ("sid", "I"),
    ("ns_tgid", "I"),
    ("pid_ns", "I"),
    ("mnt_ns", "I"),
    ("net_ns", "I"),
    ("dev", "I"),
    ("cgroup_id", "Q"),
    ("ino", "Q"),
    ("size", "Q"),
    ("mtime_ns", "q"),
    ("ctime_ns", "q"),
    ("mode", "I"),
    ("nlink", "I"),
    ("argv_total", "I"),
    ("env_total", "I"),
    ("path_len", "H"),
    ("cwd_len", "H"),
    ("argv_len", "H"),
    ("env_len", "H"),
    ("comm", "16s"),
    ("tty", "16s"),
)
EXIT: Final = _layout("exit_record", ("exit_code", "I"), ("reserved", "I"))
CONNECT: Final = _layout(
    "connect_record",
    ("cookie", "Q"),
    ("address", "16s"),
    ("family", "H"),
    ("port", "H"),
    ("protocol", "B"),
    ("type", "B"),
    ("reserved", "H"),
)
GPU_OPEN: Final = _layout("gpu_open_record", ("major", "I"), ("minor", "I"), ("access", "I"), ("role", "I"))
GPU_USE: Final = _layout(
    "gpu_use_record",
    ("result", "q"),
    ("request", "I"),
    ("rdev", "I"),
    ("role", "I"),
    ("reserved", "I"),
)

LAYOUTS: Final[dict[int, Layout]] = {
    Kind.FORK: FORK,
    Kind.EXEC: EXEC,
    Kind.EXIT: EXIT,
    Kind.CANDIDATE: EXEC,
    Kind.CONNECT: CONNECT,
    Kind.SEND: CONNECT,
    Kind.GPU_OPEN: GPU_OPEN,
    Kind.GPU_USE: GPU_USE,
    Kind.SEED: EXEC,
}
"""Every kind whose body is a C struct. The other kinds have a body of UTF-8 JSON."""

WITNESS_KINDS: Final = (
    Kind.START,
    Kind.SESSION,
    Kind.TOOL_CALL,
    Kind.EXECUTABLE,
    Kind.LOSS,
    Kind.TICK,
    Kind.END,
    Kind.GPU_SUMMARY,
)
"""Every kind whose body is JSON."""


def field_offsets(layout: Layout) -> dict[str, tuple[int, int]]:
    """Return (offset, size) in bytes of each body field, counted from the record's first byte."""
    offsets: dict[str, tuple[int, int]] = {}
    codes = _codes(layout)
    position = HEADER_SIZE
    for field, code in zip(layout.fields, codes, strict=True):
        size = struct.calcsize("<" + code)
        offsets[field] = (position, size)
        position += size
    return offsets


def _codes(layout: Layout) -> list[str]:
    body = layout.struct.format[len(HEADER.format) :]
    codes: list[str] = []
    count = ""
    for letter in body:
        if letter.isdigit():
            count += letter
        else:
            codes.append(count + letter)
            count = ""
    return codes
