"""Records: the unit that the probes and the witness write, that the two sides exchange and that a capture holds.

A record stands in a *frame*, which is the kernel ring buffer's own framing, so that whole spans of the ring are passed
on as they are:

    u32 length     of the payload in bytes; the top two bits are zero (the ring's busy and discard bits)
    u32 reserved   whatever the ring left there; readers ignore it, writers of our own put zero
    payload        `length` bytes: a 48-byte header (`HEADER`), then the body that the kind says
    padding        zeros up to the next multiple of 8

All integers are little endian. Kind numbers are permanent: a retired one stays listed and is never used again.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

FRAME: Final = struct.Struct("<II")
FRAME_SIZE: Final = FRAME.size
ALIGNMENT: Final = 8
MAX_PAYLOAD: Final = 64 * 1024
"""No record is longer, in bytes. A longer length in a stream means that the stream is damaged."""

# kind, flags, tgid, time_ns, start_ns, tid, session, call_start_ns, call_tgid, label_source
HEADER: Final = struct.Struct("<HHIQQIIQII")
HEADER_SIZE: Final = HEADER.size


class Kind:
    """Record kinds. Below 0x8000 the kernel wrote it, from 0x8000 the witness did. Families have gaps to grow into."""

    FORK: Final = 0x0101
    EXEC: Final = 0x0102
    EXIT: Final = 0x0103
    CANDIDATE: Final = 0x0104  # an untracked exec shown to the selectors; never leaves the privileged side
    CONNECT: Final = 0x0201
    SEND: Final = 0x0202  # first datagram of a socket to an address it is not connected to
    GPU_OPEN: Final = 0x0301
    GPU_USE: Final = 0x0302  # first ioctl of a process on a GPU device
    START: Final = 0x8001
    SEED: Final = 0x8002  # a process that was there before the auditor, in EXEC's layout
    SESSION: Final = 0x8003
    TOOL_CALL: Final = 0x8004
    EXECUTABLE: Final = 0x8005  # facts about an executable file
    LOSS: Final = 0x8006
    TICK: Final = 0x8007
    END: Final = 0x8008
    GPU_SUMMARY: Final = 0x8009


class Flag:
    """Bits of a record's `flags`; a bit means the same in every kind."""

    ARGV_TRUNCATED: Final = 1 << 0
    ENV_TRUNCATED: Final = 1 << 1
    PATH_TRUNCATED: Final = 1 << 2
    MEMFD: Final = 1 << 3  # the executable is an anonymous memory file
    DELETED: Final = 1 << 4  # the executable has no name left (link count 0)
    UNREADABLE: Final = 1 << 5  # a part could not be read; it is empty
    AGENT: Final = 1 << 6  # the task is a session's root (the agent itself), not a tool call
    CALL_ROOT: Final = 1 << 7  # the task is the first process of its tool call


class LabelSource:
    """Where a task's label came from, in the header's `label_source`; higher numbers are surer."""

    NONE: Final = 0
    SEEDED: Final = 1  # given by user space to a process that was already running
    SELECTED: Final = 2  # given by user space right after an exec that a selector matched
    INHERITED: Final = 3  # copied by the kernel at fork
    REGISTERED: Final = 4  # given before the first instruction ran


class TaskId(NamedTuple):
    """One process for ever: the host's tgid with the start time, so that a reused pid is another task.

    `start_ns` is in nanoseconds since boot (CLOCK_BOOTTIME). For a process seen only in /proc it is known to 10 ms
    (a clock tick) and is a multiple of 10,000,000.
    """

    tgid: int
    start_ns: int


def frame(payload: bytes) -> bytes:
    """Put a payload in a frame."""
    return FRAME.pack(len(payload), 0) + payload + bytes(-len(payload) % ALIGNMENT)
