"""Opening the file that a process runs, or ran a moment ago, without touching anything that the watched could hang.

A watched process may serve a file system itself (FUSE). Opening one of its files for reading, or walking a path through
it, waits for that process. So files are opened without being opened (O_PATH), paths are walked only as far as the
kernel has them in memory, and what lies on FUSE is handed on unopened: the facts worker may hang, this process may not.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from auditor.host.inodes import inode_of

# Numbers from Linux' include/uapi/linux/openat2.h and magic.h; openat2(2) has one number on every architecture.
_OPENAT2: Final = 437
_RESOLVE_IN_ROOT: Final = 0x10
_RESOLVE_CACHED: Final = 0x20
_FUSE_MAGIC: Final = 0x65735546
_HOW: Final = struct.Struct("<QQQ")
_FLAGS: Final = os.O_PATH | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


def open_executable(tgid: int, parent_tgid: int, path: bytes, *, size: int, ctime_ns: int) -> int | None:
    """Open the file that process `tgid` runs, if it is the one of this size (bytes) and change time (ns since 1970).

    If the process is gone, the file is looked for at `path` as its parent sees it, and as this process does. Returns a
    descriptor, the caller's to close: open for reading, or O_PATH where the file lies on FUSE; None: not found.
    """
    for fd in _places(tgid, parent_tgid, path):
        # Not by device and inode: overlay file systems show stat(2) other numbers than they have.
        with suppress(OSError):
            inode = inode_of(fd)
            if inode.size == size and inode.ctime_ns == ctime_ns:
                return _readable(fd)
        os.close(fd)
    return None


def _places(tgid: int, parent_tgid: int, path: bytes) -> Iterator[int]:
    """Open the places where the file may be, one after the other; each descriptor is the caller's."""
    with suppress(OSError):
        yield os.open(f"/proc/{tgid}/exe", _FLAGS)
        return
    for root in (f"/proc/{parent_tgid}/root", "/"):
        with suppress(OSError):
            directory = os.open(root, _FLAGS | os.O_DIRECTORY)
            try:
                found = _open_cached(directory, path)
            finally:
                os.close(directory)
            yield found


def _open_cached(root: int, path: bytes) -> int:
    """Open a path below `root` if the kernel can walk it without asking any file system. Raises OSError."""
    how = ctypes.create_string_buffer(_HOW.pack(_FLAGS, 0, _RESOLVE_IN_ROOT | _RESOLVE_CACHED))
    text = ctypes.create_string_buffer(path)
    fd = int(_libc.syscall(ctypes.c_long(_OPENAT2), ctypes.c_int(root), text, how, ctypes.c_size_t(_HOW.size)))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def _readable(fd: int) -> int:
    """Exchange an O_PATH descriptor for one open for reading, unless that would ask a FUSE server."""
    buffer = ctypes.create_string_buffer(256)
    if _libc.fstatfs(ctypes.c_int(fd), buffer) != 0 or struct.unpack_from("<q", buffer)[0] == _FUSE_MAGIC:
        return fd
    opened = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    os.close(fd)
    return opened
