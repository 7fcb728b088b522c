"""What the kernel holds of the auditor's probes, and whether some living process holds on to it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from auditor.kernel import bpf
from auditor.kernel.catalog import HOOKS

# Commands of bpf(2): include/uapi/linux/bpf.h.
PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 11, 13, 15
LINK_GET_FD_BY_ID, LINK_GET_NEXT_ID = 30, 31
_NAME_AT = 64  # of `name` in struct bpf_prog_info
_PROGRAM_AT = 8  # of `prog_id` in struct bpf_link_info
_NAMES = {hook.function[:15] for hook in HOOKS}

Held = frozenset[tuple[str, int]]


def orphans(before: Held = frozenset()) -> Held:
    """Give the programs and links of auditors, other than those of `before`, that no process has a descriptor of."""
    return in_kernel() - before - in_processes()


def in_kernel() -> Held:
    """List the programs and links of auditors, anybody's, as (kind, number)."""
    programs = {number for number, info in _all(PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID) if _name(info) in _NAMES}
    links = {
        number
        for number, info in _all(LINK_GET_NEXT_ID, LINK_GET_FD_BY_ID)
        if struct.unpack_from("<I", info, _PROGRAM_AT)[0] in programs
    }
    return frozenset({("prog", number) for number in programs} | {("link", number) for number in links})


def in_processes() -> Held:
    """List the programs and links that living processes have descriptors of."""
    return frozenset(
        item for entry in Path("/proc").iterdir() if entry.name.isdigit() for item in held_by(int(entry.name))
    )


def held_by(pid: int) -> Held:
    """List the programs and links that a process has descriptors of."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                for line in entry.read_text().splitlines():
                    word, _, value = line.partition(":")
                    if word in {"prog_id", "link_id"}:
                        found.add((word[:4], int(value)))
    return frozenset(found)


def _all(following: int, opening: int) -> Iterator[tuple[int, bytes]]:
    number = 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("<II", number, 0), 128)
        try:
            bpf._bpf(following, attributes)
        except OSError as error:
            assert error.errno == errno.ENOENT  # noqa: PT017 - any other error is the test's own
            return
        (number,) = struct.unpack_from("<I", attributes, 4)
        with contextlib.suppress(FileNotFoundError):  # it went meanwhile
            fd = bpf._bpf(opening, struct.pack("<II", number, 0))
            info = ctypes.create_string_buffer(256)
            bpf._bpf(OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", fd, len(info), ctypes.addressof(info)))
            os.close(fd)
            yield number, info.raw


def _name(info: bytes) -> str:
    return info[_NAME_AT : _NAME_AT + 16].partition(b"\0")[0].decode("utf-8", "replace")
