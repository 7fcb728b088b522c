"""Small ELF files for tests, built from parts: headers, constants, names of libraries, notes; no machine code runs."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
R, RX, RW = 4, 5, 6
DT_NEEDED, DT_STRTAB, DT_STRSZ = 1, 5, 10
INTERPRETER = b"/lib64/ld-linux-x86-64.so.2\0"
BASE = 0x400000


def make_elf(
    constants: bytes = b"",
    *,
    libraries: Sequence[bytes] = (b"libc.so.6",),
    imports: Sequence[bytes] = (),
    notes: bytes = b"",
    code: bytes = b"\xc3" * 4096,
    interpreter: bytes = INTERPRETER,
    comment: bytes = b"",
) -> bytes:
    """Build a 64-bit x86 ELF file: one read-only segment with everything but `code`, one executable segment with it.

    With `comment` it has a section table with a .comment section.
    """
    segments = 3 + bool(interpreter) + bool(libraries)
    place = 64 + 56 * segments
    names = b"\0" + b"".join(name + b"\0" for name in (*libraries, *imports))
    parts = {"interpreter": interpreter, "names": names, "notes": notes, "constants": constants, "comment": comment}
    offsets = {}
    blob = b""
    for name, data in parts.items():
        offsets[name] = place + len(blob)
        blob += data + bytes(-len(data) % 8)
    offsets["dynamic"] = place + len(blob)
    needed = b"".join(struct.pack("<QQ", DT_NEEDED, names.index(b"\0" + name) + 1) for name in libraries)
    table = struct.pack("<QQQQ", DT_STRTAB, BASE + offsets["names"], DT_STRSZ, len(names))
    dynamic = needed + table + bytes(16)
    blob += dynamic
    read_only = place + len(blob)
    entries = [(PT_LOAD, R, 0, read_only), (PT_LOAD, RX, read_only, len(code))]
    entries.append((PT_NOTE, R, offsets["notes"], len(notes)))
    if interpreter:
        entries.append((PT_INTERP, R, offsets["interpreter"], len(interpreter)))
    if libraries:
        entries.append((PT_DYNAMIC, R, offsets["dynamic"], len(dynamic)))
    body = blob + code
    table_offset, section_names = 0, b"\0.comment\0.shstrtab\0"
    sections = b""
    if comment:
        names_offset = place + len(body)
        body += section_names
        table_offset = place + len(body)
        sections = (
            bytes(64) + section(1, offsets["comment"], len(comment)) + section(10, names_offset, len(section_names))
        )
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH",
        2,
        62,
        1,
        BASE,
        64,
        table_offset,
        0,
        64,
        56,
        segments,
        64,
        len(sections) // 64,
        2 if comment else 0,
    )
    program = b"".join(
        struct.pack("<IIQQQQQQ", kind, flags, offset, BASE + offset, BASE + offset, size, size, 4096)
        for kind, flags, offset, size in entries
    )
    return header + program + body + sections


def section(name: int, offset: int, size: int) -> bytes:
    """Build a section header."""
    return struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, offset, size, 0, 0, 1, 0)


def note(owner: bytes, kind: int, value: bytes) -> bytes:
    """Build a note."""
    owner += b"\0"
    return (
        struct.pack("<III", len(owner), len(value), kind)
        + owner
        + bytes(-len(owner) % 4)
        + value
        + bytes(-len(value) % 4)
    )


@contextmanager
def opened(data: bytes) -> Iterator[int]:
    """Hold a file with these bytes open, and give its descriptor."""
    fd = os.memfd_create("binary", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(data)
        yield fd
    finally:
        os.close(fd)
