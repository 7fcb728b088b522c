"""Reading /proc, of real processes."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.host import procfs
from auditor.host.inodes import inode_at

GONE = 2**22 + 1
TREE = "import subprocess, sys; subprocess.Popen(['sleep', '60'], stdout=2); print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def sleeper() -> Iterator[int]:
    """Run a process that does nothing."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def test_stat_is_read(sleeper: int) -> None:
    """Ids, name and sizes of a process are those that it has."""
    found = procfs.read_stat(sleeper)
    assert found is not None
    assert (found.tgid, found.parent_tgid) == (sleeper, os.getpid())
    assert (found.pgid, found.sid) == (os.getpgid(sleeper), os.getsid(sleeper))
    own = procfs.read_stat(os.getpid())
    assert own is not None
    assert own.argv_total == len(Path("/proc/self/cmdline").read_bytes())


def test_start_time_is_on_the_boot_clock() -> None:
    """A process's start lies between the clock before and after, to a tick."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    with subprocess.Popen(["sleep", "60"]) as process:
        start = procfs.start_ns(process.pid)
        process.kill()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert start is not None
    assert before - procfs.TICK_NS <= start <= after
    assert start % procfs.TICK_NS == 0


def test_hostile_name_breaks_nothing(tmp_path: Path) -> None:
    """A name with blanks, parentheses, a newline and bytes that are no UTF-8 shifts no field."""
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a) R 1\n(\xff"))
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as process:
        try:
            found = procfs.read_stat(process.pid)
        finally:
            process.kill()
    assert found is not None
    assert found.parent_tgid == os.getpid()
    assert found.comm in {"a) R 1\n(\\xff", "python", Path(sys.executable).name[:15]}  # python: not exec'd yet


@pytest.mark.parametrize(
    ("read", "nothing"),
    [
        (procfs.read_stat, None),
        (procfs.read_status, None),
        (procfs.start_ns, None),
        (procfs.open_devices, set()),
        (procfs.cgroup_path, ""),
    ],
)
def test_gone_process_is_nothing(read: object, nothing: object) -> None:
    """Who is gone gives nothing, and no error."""
    assert callable(read)
    assert read(GONE) == nothing


def test_ids_are_those_of_the_process() -> None:
    """Status tells the real and effective ids, and the pid in the process's own namespace."""
    found = procfs.read_status(os.getpid())
    assert found == (os.getuid(), os.getgid(), os.geteuid(), os.getegid(), os.getpid())


def test_all_pids_has_the_living(sleeper: int) -> None:
    """The list has this process, its child and the first process, in order."""
    pids = procfs.all_pids()
    assert {1, os.getpid(), sleeper} <= set(pids)
    assert pids == sorted(pids)


def test_descendants_are_found_whole() -> None:
    """Children's children are found, parents first; the asked ones are left out, and a gone one has none."""
    command = [sys.executable, "-c", TREE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        (grandchild,) = procfs.children_of([parent.pid])
        found = procfs.children_of([os.getpid(), GONE])
        os.kill(grandchild, 9)
        parent.kill()
    assert found.index(parent.pid) < found.index(grandchild)
    assert os.getpid() not in found


def test_open_devices_are_device_numbers() -> None:
    """Character devices that a process holds are told by number; files and pipes are not."""
    with Path("/dev/null").open("rb"), Path(__file__).open("rb"):
        found = procfs.open_devices(os.getpid())
    assert inode_at("/dev/null").rdev in found
    assert 0 not in found


def test_namespaces_are_inode_numbers() -> None:
    """A namespace's number is its inode; a kind that is not there is 0."""
    assert procfs.namespace(os.getpid(), "pid") == Path("/proc/self/ns/pid").stat().st_ino
    assert procfs.namespace(os.getpid(), "nothing") == 0


def test_mount_paths_are_unescaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks and backslashes in a mount's path are as they are on disk, and broken lines are passed over."""
    line = rb"30 23 0:26 / /mnt/a\040b\134040 rw,relatime shared:9 - ext4 /dev/sda rw"
    monkeypatch.setattr(procfs, "read_bytes", lambda _: line + b"\nnonsense\n")
    assert list(procfs.mounts()) == [("ext4", "/", "/mnt/a b\\040")]


def test_character_devices_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with majors are read up to the block devices."""
    assert ("mem", 1) in procfs.character_devices()
    text = b"Character devices:\n  1 mem\n195 nvidia\n510 nvidia-uvm\n\nBlock devices:\n  7 loop\n"
    monkeypatch.setattr(procfs, "read_bytes", lambda _: text)
    assert procfs.character_devices() == [("mem", 1), ("nvidia", 195), ("nvidia-uvm", 510)]


def test_host_says_who_it_is() -> None:
    """Boot id, name, release and clock offset are this host's."""
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", procfs.boot_id())
    assert procfs.host_name() == os.uname().nodename
    assert procfs.kernel_release() == os.uname().release
    drift = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) - procfs.wall_offset_ns()
    assert abs(drift) < 1_000_000_000


def test_reading_is_bounded() -> None:
    """No more than the limit is read, and a directory or a missing file is empty."""
    assert len(procfs.read_bytes("/proc/self/maps", 10)) == 10
    assert procfs.read_bytes("/proc/self") == b""
    assert procfs.read_bytes("/proc/nothing") == b""


def test_reopened_descriptor_reads(tmp_path: Path) -> None:
    """A descriptor for a path only is opened for reading, even when the name is gone."""
    file = tmp_path / "file"
    file.write_bytes(b"still here")
    path_only = os.open(file, os.O_PATH)
    file.unlink()
    fd = procfs.reopen(path_only)
    assert os.read(fd, 100) == b"still here"
    os.close(fd)
    os.close(path_only)
