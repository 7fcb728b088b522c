"""The format of a capture file: sixteen bytes, then the record stream as it came.

    8 bytes  magic
    u16      version of the format: of this header and of the frames, not of single records, which have kinds to grow by
    u16      size of this header in bytes
    u32      reserved, zero

Little endian. The frames are those of auditor/model/records.py.
"""

from __future__ import annotations

import struct
from typing import Final

from auditor.errors import CaptureError

MAGIC: Final = b"\x89AUDCAP\n"
"""No text begins like this: the first byte is not ASCII, and the last is lost where line ends are translated."""
VERSION: Final = 1
HEADER: Final = struct.Struct("<8sHHI")


def write_header() -> bytes:
    """Return the header of a capture."""
    return HEADER.pack(MAGIC, VERSION, HEADER.size, 0)


def is_capture(opening: bytes) -> bool:
    """Tell whether a file that opens with these bytes is a capture, whole or cut off within its header."""
    return bool(opening) and MAGIC.startswith(opening[: len(MAGIC)])


def read_header(opening: bytes, name: str) -> int:
    """Check the header and return its size in bytes.

    Raises:
        CaptureError: not a capture, or one of a version that is yet to come. `name` is the file's, for the message.

    """
    if not is_capture(opening):
        raise CaptureError(f"{name} is not a capture")
    if len(opening) < HEADER.size:
        raise CaptureError(f"{name} was cut off within its header: nothing was captured")
    _, version, size, _ = HEADER.unpack_from(opening)
    if version > VERSION:
        raise CaptureError(
            f"{name} is a capture of format {version}, and this auditor reads up to format {VERSION}: "
            f"replay it with a newer one"
        )
    if version == 0 or size < HEADER.size:
        raise CaptureError(f"{name} has a damaged header")
    return int(size)
