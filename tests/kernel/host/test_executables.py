"""Opening the file of a process that is gone, where only its parent could see it."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from auditor.host.executables import open_executable
from auditor.model.events import Exec
from tests.kernel.watching import Watch, become, fork, wait

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def test_file_in_a_mount_namespace(watch: Watch, tmp_path: Path) -> None:
    """A program on a mount that the host does not see is found through the parent, by what its exec told of it."""
    program = tmp_path / "program"

    def act(hold: int) -> None:
        assert _libc.unshare(CLONE_NEWNS) == 0
        assert _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
        assert _libc.mount(b"tmpfs", os.fsencode(tmp_path), b"tmpfs", 0, None) == 0
        shutil.copy("/bin/true", program)
        wait(fork(lambda: become([str(program)])))
        os.read(hold, 1)

    with watch.held(act) as parent:
        told = watch.until(lambda event: isinstance(event, Exec) and event.parent_tgid == parent)
        watch.until_exit(told.tgid)
        assert isinstance(told, Exec)
        path = told.executable.encode()
        assert not program.exists()
        fd = open_executable(told.tgid, parent, path, size=told.size, ctime_ns=told.ctime_ns)
        assert fd is not None
        assert os.fstat(fd).st_ino == told.ino
        assert os.read(fd, 4) == b"\x7fELF"
        os.close(fd)
        assert open_executable(told.tgid, os.getpid(), path, size=told.size, ctime_ns=told.ctime_ns) is None
