"""Inodes by statx."""

import os
from pathlib import Path

import pytest

from auditor.host.inodes import inode_at, inode_of, kernel_device


def test_inode_is_what_stat_says(tmp_path: Path) -> None:
    """Every field agrees with stat(2), for a path and for a descriptor opened with O_PATH."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    os.link(file, tmp_path / "other")
    known = file.stat()
    fd = os.open(file, os.O_PATH)
    try:
        assert inode_of(fd) == inode_at(str(file))
    finally:
        os.close(fd)
    inode = inode_at(str(file))
    assert (inode.ino, inode.size, inode.nlink, inode.mode) == (known.st_ino, 5, 2, known.st_mode)
    assert (inode.mtime_ns, inode.ctime_ns) == (known.st_mtime_ns, known.st_ctime_ns)
    assert inode.dev == kernel_device(os.major(known.st_dev), os.minor(known.st_dev))


def test_device_number_is_the_kernel_s() -> None:
    """A device node's number has the major above 20 bits of minor: /dev/null is 1:3."""
    assert inode_at("/dev/null").rdev == 0x100003


def test_missing_path_is_an_error(tmp_path: Path) -> None:
    """A path that leads nowhere raises the usual error."""
    with pytest.raises(FileNotFoundError):
        inode_at(str(tmp_path / "missing"))
