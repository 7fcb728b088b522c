"""Opening the file that a process runs, also when the process is gone."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.host.executables import open_executable
from auditor.host.inodes import Inode, inode_of

GONE = 0x7FFFFFF0
"""No process has this pid."""


class Running:
    """A process that runs `file` and waits."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.process = subprocess.Popen([file], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def end(self) -> None:
        """End it, and have it gone."""
        self.process.communicate()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Give a process that runs a program of its own."""
    found = Running(Path(shutil.copy("/bin/cat", tmp_path / "program")))
    yield found
    found.end()


def facts(path: Path) -> Inode:
    """Give a file's inode, as the kernel has it."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return inode_of(fd)
    finally:
        os.close(fd)


def opened(tgid: int, path: Path | bytes, inode: Inode, parent: int | None = None, **other: int) -> bytes | None:
    """Open, check how, and give the file's first bytes; None where it was not found."""
    wanted = {"size": inode.size, "ctime_ns": inode.ctime_ns, **other}
    fd = open_executable(tgid, os.getpid() if parent is None else parent, os.fsencode(path), **wanted)
    if fd is None:
        return None
    try:
        assert os.get_inheritable(fd) is False
        assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        assert inode_of(fd) == inode
        return os.read(fd, 4)
    finally:
        os.close(fd)


def open_descriptors() -> set[str]:
    """List this process's descriptors."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Hold every test to leave no descriptor open."""
    before = open_descriptors()
    yield
    assert open_descriptors() <= before


def test_living_process(running: Running) -> None:
    """The file of a living process is opened for reading, whatever the path says."""
    assert opened(running.process.pid, b"/no/such/file", facts(running.file)) == b"\x7fELF"


def test_file_that_was_removed(running: Running) -> None:
    """A file without a name is still to be had from the process that runs it."""
    held = os.open(running.file, os.O_PATH | os.O_CLOEXEC)
    running.file.unlink()
    assert opened(running.process.pid, running.file, inode_of(held)) == b"\x7fELF"
    os.close(held)


def test_process_that_is_gone(running: Running) -> None:
    """The file of a process that ended is found at its path, as the parent sees it."""
    running.end()
    assert opened(running.process.pid, running.file, facts(running.file)) == b"\x7fELF"


def test_process_and_parent_that_are_gone(running: Running) -> None:
    """Where the parent is gone too, the path is looked for as this process sees it."""
    assert opened(GONE, running.file, facts(running.file), parent=GONE) == b"\x7fELF"


def test_another_file_in_its_place(running: Running) -> None:
    """A file that was put in the place of the one that ran is not taken for it."""
    inode = facts(running.file)
    running.end()
    running.file.unlink()
    shutil.copy("/bin/cat", running.file)
    assert opened(GONE, running.file, inode) is None


@pytest.mark.parametrize("other", [{"size": 1}, {"ctime_ns": 1}])
def test_process_that_runs_something_else_by_now(running: Running, other: dict[str, int]) -> None:
    """A living process that runs another file than the one asked for is not asked for that one."""
    assert opened(running.process.pid, running.file, facts(running.file), **other) is None


def test_file_that_is_gone(running: Running) -> None:
    """A file that is nowhere is not found, and that is no error."""
    inode = facts(running.file)
    running.end()
    running.file.unlink()
    assert opened(GONE, running.file, inode) is None


@pytest.mark.parametrize("path", [b"", b"/", b"relative", b"/etc/passwd\0/bin/cat", b"/" + b"x" * 5000, b"\xff\xfe"])
def test_strange_paths(running: Running, path: bytes) -> None:
    """Paths that lead nowhere, or to no file, are not found."""
    assert opened(GONE, path, facts(running.file)) is None


def test_path_does_not_lead_out_of_the_parents_root(running: Running, tmp_path: Path) -> None:
    """Links and dots in the path are followed below the root that it is looked for in, and not above."""
    (tmp_path / "link").symlink_to(running.file)
    climbing = os.fsencode("/.." * 20) + os.fsencode(running.file)
    # A walk upwards is given up where anything on the host is renamed or mounted meanwhile, and then tried again.
    tries = (opened(GONE, climbing, facts(running.file)) for _ in range(100))
    assert next(found for found in tries if found) == b"\x7fELF"
    assert opened(GONE, tmp_path / "link", facts(running.file)) == b"\x7fELF"


def test_pipe_in_its_place_does_not_block(tmp_path: Path) -> None:
    """A pipe where a program was is looked at and not waited for."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    inode = facts(pipe)
    fd = open_executable(GONE, GONE, os.fsencode(pipe), size=inode.size, ctime_ns=inode.ctime_ns)
    assert fd is not None
    assert stat.S_ISFIFO(os.fstat(fd).st_mode)
    os.close(fd)
