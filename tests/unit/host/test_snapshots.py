"""Snapshots of processes that were there before, and their SEED records."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditor.decode.wire import decode
from auditor.host.snapshots import ProcessSnapshot, read_process, seed_record, terminal_name
from auditor.model.events import Exec
from auditor.model.records import Flag, Kind, LabelSource, TaskId

UP = "import sys; print('up', flush=True); sys.stdin.read()"


@contextmanager
def running(*arguments: str | bytes, program: str = sys.executable, **options: object) -> Iterator[int]:
    """Run a python until the block ends; it has begun to run its program when the block begins."""
    command = [program, "-c", UP, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == b"up\n"
        yield process.pid
        process.kill()


def snapshot_of(pid: int) -> ProcessSnapshot:
    """Read a process that is there."""
    snapshot = read_process(pid)
    assert snapshot is not None
    return snapshot


def seed(snapshot: ProcessSnapshot) -> Exec:
    """Write a snapshot's record and read it back."""
    (event,) = decode(seed_record(snapshot, time_ns=9, session=3, call=TaskId(7, 8), flags=Flag.CALL_ROOT))
    assert isinstance(event, Exec)
    return event


def test_snapshot_says_what_the_process_is(tmp_path: Path) -> None:
    """Ids, arguments, environment, directory and executable are the process's own."""
    with running("an argument", cwd=tmp_path, env={"NAME": "value"}) as pid:
        snapshot = snapshot_of(pid)
    assert snapshot.parent_tgid == os.getpid()
    assert snapshot.args == (sys.executable, "-c", UP, "an argument")
    assert "NAME=value" in snapshot.env
    assert snapshot.cwd == str(tmp_path)
    assert snapshot.executable == os.path.realpath(sys.executable)
    assert snapshot.inode.ino == Path(sys.executable).stat().st_ino
    assert (snapshot.uid, snapshot.euid, snapshot.flags) == (os.getuid(), os.geteuid(), 0)
    assert 0 < snapshot.parent_start_ns <= snapshot.start_ns


def test_seed_record_reads_back() -> None:
    """A SEED has the snapshot's values under EXEC's names, with the label that it was given."""
    with running(b"caf\xc3\xa9 \xff\x1b[31m") as pid:
        snapshot = snapshot_of(pid)
    event = seed(snapshot)
    assert (event.kind, event.tgid, event.start_ns, event.time_ns) == (Kind.SEED, pid, snapshot.start_ns, 9)
    assert (event.session, event.call_tgid, event.call_start_ns) == (3, 7, 8)
    assert (event.label_source, event.flags) == (LabelSource.SEEDED, Flag.CALL_ROOT)
    assert event.args == snapshot.args
    assert event.args[-1] == "caf\u00e9 \\xff\x1b[31m"
    assert (event.executable, event.cwd, event.env) == (snapshot.executable, snapshot.cwd, snapshot.env)
    shared = set(Exec._fields) & {"uid", "gid", "pgid", "sid", "ns_tgid", "pid_ns", "mnt_ns", "net_ns", "comm", "tty"}
    assert all(getattr(event, field) == getattr(snapshot, field) for field in shared)
    assert (event.ino, event.size, event.mode) == (snapshot.inode.ino, snapshot.inode.size, snapshot.inode.mode)


def test_agent_has_no_call() -> None:
    """Without a call the record names none, as an agent's must."""
    (event,) = decode(seed_record(snapshot_of(os.getpid()), time_ns=1, session=1, flags=Flag.AGENT))
    assert (event.call_tgid, event.call_start_ns, event.flags & Flag.AGENT) == (0, 0, Flag.AGENT)


def test_long_texts_are_cut_off_and_said_to_be() -> None:
    """Arguments and environment past 4 KiB are cut off, flagged, and their real sizes are kept."""
    with running("x" * 100_000, env={"LONG": "y" * 50_000}) as pid:
        event = seed(snapshot_of(pid))
    assert event.flags & Flag.ARGV_TRUNCATED
    assert event.flags & Flag.ENV_TRUNCATED
    assert event.argv_total > 100_000
    assert event.env_total > 50_000
    assert sum(map(len, event.args)) < 4096


def test_deleted_executable_is_known(tmp_path: Path) -> None:
    """A program whose file has been removed is told by its old path and a flag."""
    program = tmp_path / "program"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        while snapshot_of(process.pid).executable != str(program):
            os.sched_yield()
        program.unlink()
        snapshot = snapshot_of(process.pid)
        process.kill()
    assert snapshot.executable == str(program)
    assert snapshot.flags == Flag.DELETED


def test_program_in_memory_is_known() -> None:
    """A program that was run from a memory file has no path on disk, and a flag says so."""
    fd = os.memfd_create("hidden")
    os.write(fd, Path("/bin/sleep").read_bytes())
    with subprocess.Popen(["sleep", "60"], executable=f"/proc/self/fd/{fd}", pass_fds=[fd]) as process:
        while not snapshot_of(process.pid).executable.startswith("/memfd"):
            os.sched_yield()
        event = seed(snapshot_of(process.pid))
        process.kill()
    os.close(fd)
    assert event.executable == "/memfd:hidden (deleted)"
    assert event.flags & Flag.MEMFD


def test_gone_process_is_none() -> None:
    """A process that is gone has no snapshot."""
    assert read_process(2**22 + 1) is None


def test_kernel_thread_is_a_process_without_a_program() -> None:
    """A kernel thread has a name and no executable, and breaks nothing."""
    snapshot = read_process(2)
    if snapshot is None or snapshot.comm != "kthreadd":
        pytest.skip("kernel threads are not seen from this namespace")
    assert (snapshot.executable, snapshot.args, snapshot.inode.ino) == ("", (), 0)
    assert snapshot.flags == Flag.UNREADABLE


@pytest.mark.parametrize(
    ("device", "name"),
    [(0, ""), (136 << 8 | 7, "pts7"), (1 << 20 | 136 << 8 | 1, "pts257"), (4 << 8 | 1, "tty1"), (4 << 8 | 64, "ttyS0")],
)
def test_terminal_is_named_as_the_kernel_does(device: int, name: str) -> None:
    """Terminal numbers become the kernel's names."""
    assert terminal_name(device) == name


def test_other_terminals_have_numbers() -> None:
    """A terminal of an unknown driver is told by its numbers."""
    assert terminal_name(229 << 8 | 2) == "229:2"
