"""What a path's inode says, without waiting for the file system's server.

A watched process may be the server of its own file system (FUSE), and an ordinary stat(2) asks the server: it could
hang whoever looks. statx(2) can be told to answer from what the kernel has.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final, NamedTuple

# Numbers and layout from Linux' include/uapi/linux/stat.h and fcntl.h.
_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_AT_STATX_DONT_SYNC: Final = 0x4000
_BASIC_STATS: Final = 0x7FF
_STATX: Final = struct.Struct("<16xI8xH2xQQ48xqI4xqI4xIIII112x")

_MINOR_BITS: Final = 20

_libc = ctypes.CDLL(None, use_errno=True)


class Inode(NamedTuple):
    """An inode's facts. Times are in ns since 1970, size in bytes, devices in the kernel's dev_t (major << 20 | minor).

    On btrfs and overlayfs `dev` is a number that the file system makes up for stat, not its superblock's.
    """

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    nlink: int
    rdev: int


def inode_at(path: str) -> Inode:
    """Return the inode that `path` leads to, links followed. Raises OSError."""
    return _statx(_AT_FDCWD, os.fsencode(path), 0)


def inode_of(fd: int) -> Inode:
    """Return the inode of an open file, also of one opened with O_PATH. Raises OSError."""
    return _statx(fd, b"", _AT_EMPTY_PATH)


def kernel_device(major: int, minor: int) -> int:
    """Return a device number as the kernel's own dev_t."""
    return major << _MINOR_BITS | minor


def _statx(directory: int, path: bytes, flags: int) -> Inode:
    buffer = ctypes.create_string_buffer(_STATX.size)
    if _libc.statx(directory, path, flags | _AT_STATX_DONT_SYNC, _BASIC_STATS, buffer) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fsdecode(path))
    nlink, mode, ino, size, ctime, ctime_ns, mtime, mtime_ns, *devices = _STATX.unpack(buffer)
    rdev, dev = kernel_device(*devices[:2]), kernel_device(*devices[2:])
    second = 1_000_000_000
    return Inode(dev, ino, size, mtime * second + mtime_ns, ctime * second + ctime_ns, mode, nlink, rdev)
