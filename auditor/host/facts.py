"""What the two sides of the facts worker say to each other: a request with an open file, a reply with a record."""

from __future__ import annotations

import struct
from typing import Any, Final

import orjson

from auditor.model.records import HEADER, Kind, LabelSource, frame

Facts = dict[str, Any]
"""`auditor.model.events.Executable`'s fields from `status` to `interpreter`, as JSON has them."""

REQUEST: Final = struct.Struct("<QIIQQqQQ")
REPLY: Final = struct.Struct("<Q")
"""What a reply opens with, before the record's frame: the request's number."""


def blank(status: str) -> Facts:
    """Return facts that say nothing but why there are none."""
    return {
        "status": status,
        "format": "other",
        "libraries": [],
        "marks": [],
        "build_id": "",
        "language": "",
        "static": False,
        "interpreter": "",
    }


def request(
    number: int, *, dev: int, ino: int, size: int, ctime_ns: int, tgid: int, start_ns: int, time_ns: int
) -> bytes:
    """Write a request: its number, the file's identity, the process that runs it, the time of the record to be."""
    return REQUEST.pack(number, tgid, dev, ino, size, ctime_ns, start_ns, time_ns)


def record(message: bytes, facts: Facts) -> bytes:
    """Write the EXECUTABLE frame that answers a request."""
    _, tgid, dev, ino, size, ctime_ns, start_ns, time_ns = REQUEST.unpack(message)
    header = HEADER.pack(Kind.EXECUTABLE, 0, tgid, time_ns, start_ns, tgid, 0, 0, 0, LabelSource.NONE)
    return frame(header + orjson.dumps({"dev": dev, "ino": ino, "size": size, "ctime_ns": ctime_ns, **facts}))
