"""What is told of an exec is what the kernel knows, whatever the process would like to be taken for."""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import pty
import shutil
import stat
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.host import procfs
from auditor.host.snapshots import read_process
from auditor.model.events import Exec
from auditor.model.records import Flag
from tests.kernel.watching import Watch, become, fork, wait

CAT = os.path.realpath("/bin/cat")
TRUE = "/bin/true"
NOBODY = 65534
CLONE_NEWNS, CLONE_NEWPID = 0x20000, 0x20000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
BLOB = 4096
TRUNCATIONS = Flag.ARGV_TRUNCATED | Flag.ENV_TRUNCATED | Flag.PATH_TRUNCATED

_libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    """Raise what a call of the C library failed with."""
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def read_from(fd: int, program: str | int = CAT) -> None:
    """Become a program that ends when `fd` does."""
    os.dup2(fd, 0)
    become(["cat"], program)


def exec_of(watch: Watch, pid: int) -> Exec:
    """Give the exec of a process, once it is told."""
    found = watch.until(lambda event: isinstance(event, Exec) and event.tgid == pid)
    assert isinstance(found, Exec)
    return found


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """Give a copy of `cat` that everyone may run."""
    for folder in (tmp_path, *itertools.islice(tmp_path.parents, 2)):
        folder.chmod(0o755)
    return Path(shutil.copy(CAT, tmp_path / "own-cat"))


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ((b"true", b"\x1b[2J\x1b]0;title\x07"), ("true", "\x1b[2J\x1b]0;title\x07")),
        ((b"true", b"two\nlines\r\n"), ("true", "two\nlines\r\n")),
        ((b"true", b"", b"", b"after", b""), ("true", "", "", "after", "")),
        ((b"\xff\xfe", b"caf\xc3\xa9", b"\xc3"), ("\\xff\\xfe", "café", "\\xc3")),
    ],
    ids=["escape codes", "newlines", "empty ones", "not UTF-8"],
)
def test_arguments_are_told_as_they_are(watch: Watch, argv: tuple[bytes, ...], told: tuple[str, ...]) -> None:
    """Arguments come whole and in order, whatever bytes are in them."""
    event = watch.run(argv, program=TRUE)
    assert event.args == told
    assert event.argv_total == sum(len(arg) + 1 for arg in argv)
    assert event.flags & TRUNCATIONS == 0


def test_no_arguments_at_all(watch: Watch) -> None:
    """A program run without even a name for itself is told with what the kernel makes of it: one empty argument."""

    def without() -> None:
        nothing = (ctypes.c_char_p * 1)(None)
        _libc.execve(TRUE.encode(), nothing, nothing)

    pid = watch.call(without)
    event = watch.of(watch.finish(pid), Exec, pid)[0]
    assert (event.executable, event.args, event.argv_total) == (os.path.realpath(TRUE), ("",), 1)
    assert (event.env, event.env_total) == ((), 0)


def test_long_arguments_are_cut_and_counted(watch: Watch) -> None:
    """128 KiB of arguments: the first 4 KiB are told, marked as cut, with the true size beside them."""
    argv = ["true", *(f"{number:01023}" for number in range(127))]
    event = watch.run(argv, program=TRUE)
    whole = "".join(f"{arg}\0" for arg in argv)
    assert event.argv_total == len(whole)
    assert "\0".join(event.args) == whole[:BLOB].removesuffix("\0")
    assert event.flags & TRUNCATIONS == Flag.ARGV_TRUNCATED


@pytest.mark.parametrize(("length", "cut"), [(BLOB, 0), (BLOB + 1, Flag.ARGV_TRUNCATED)])
def test_cut_is_exact(watch: Watch, length: int, cut: int) -> None:
    """4096 bytes of arguments are told whole; one more is a cut."""
    event = watch.run(["true", "x" * (length - len("true\0\0"))], program=TRUE)
    assert (event.argv_total, event.flags & TRUNCATIONS) == (length, cut)
    assert event.args[1] == "x" * (length - len("true\0\0"))


def test_long_environment_is_cut_and_counted(watch: Watch) -> None:
    """An environment over 4 KiB is cut and marked; the arguments before it are whole."""
    env = {b"FIRST": b"1", **{b"V%04d" % number: b"y" * 90 for number in range(100)}}
    event = watch.run(["true", "whole"], program=TRUE, env=env)
    assert event.args == ("true", "whole")
    assert event.env_total == sum(len(name) + len(value) + 2 for name, value in env.items())
    assert event.env[:2] == ("FIRST=1", "V0000=" + "y" * 90)
    assert sum(len(text) + 1 for text in event.env) in {BLOB, BLOB + 1}
    assert event.flags & TRUNCATIONS == Flag.ENV_TRUNCATED


def test_false_name(watch: Watch) -> None:
    """A program that is given another's name is told with both: what it was given, and what it is."""
    event = watch.run(["[kworker/0:0]"], program=TRUE)
    assert (event.args, event.executable, event.comm) == (("[kworker/0:0]",), os.path.realpath(TRUE), "true")


def test_directory_across_a_mount(watch: Watch, tmp_path: Path) -> None:
    """Paths cross mount points: a program and a directory on a tmpfs that only this process sees are named in full."""
    mount = tmp_path / "mnt"
    mount.mkdir()
    inside = mount / "a" / "b"

    def prepare() -> None:
        checked(_libc.unshare(CLONE_NEWNS))
        checked(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
        checked(_libc.mount(b"tmpfs", os.fsencode(mount), b"tmpfs", 0, None))
        inside.mkdir(parents=True)
        shutil.copy(TRUE, inside / "true")
        os.chdir(inside)

    event = watch.run([str(inside / "true")], prepare)
    assert (event.executable, event.cwd) == (str(inside / "true"), str(inside))
    assert not inside.exists()
    assert event.dev != tmp_path.stat().st_dev
    assert event.mnt_ns != procfs.namespace(os.getpid(), "mnt")


def test_directory_behind_a_link(watch: Watch, tmp_path: Path) -> None:
    """A program and directory reached by links are told by their own paths."""
    real = tmp_path / "real"
    real.mkdir()
    shutil.copy(TRUE, real / "true")
    (tmp_path / "link").symlink_to(real)
    event = watch.run([str(tmp_path / "link" / "true")], lambda: os.chdir(tmp_path / "link"))
    assert (event.executable, event.cwd) == (str(real / "true"), str(real))
    assert event.args == (str(tmp_path / "link" / "true"),)


def test_deep_directory(watch: Watch, tmp_path: Path) -> None:
    """A path of 40 components is told whole; of one of 60, the end that is nearest is, and it is marked."""
    shallow = tmp_path.joinpath(*["d"] * (40 - len(tmp_path.parts)))
    deep = tmp_path.joinpath(*[str(number) for number in range(60)])
    shallow.mkdir(parents=True)
    deep.mkdir(parents=True)
    event = watch.run([TRUE], lambda: os.chdir(shallow))
    assert (event.cwd, event.flags & TRUNCATIONS) == (str(shallow), 0)
    event = watch.run([TRUE], lambda: os.chdir(deep))
    assert event.flags & TRUNCATIONS == Flag.PATH_TRUNCATED
    assert event.cwd == "/.../" + "/".join(deep.parts[-48:])
    assert (event.args, event.executable) == ((TRUE,), os.path.realpath(TRUE))


def test_long_names(watch: Watch, tmp_path: Path) -> None:
    """A path of over 2 KiB in few components is cut between components, and marked; what follows it is whole."""
    names = [letter * 255 for letter in "abcdefghijkl"]
    deep = tmp_path.joinpath(*names)
    deep.mkdir(parents=True)
    event = watch.run([TRUE, "after"], lambda: os.chdir(deep), env={b"A": b"B"})
    assert event.flags & TRUNCATIONS == Flag.PATH_TRUNCATED
    told = event.cwd.removeprefix("/.../").split("/")
    assert told == names[-len(told) :]
    assert 6 <= len(told) < len(names)
    assert (event.args, event.env) == ((TRUE, "after"), ("A=B",))


def test_root_directory(watch: Watch) -> None:
    """The root itself is a directory like any other."""
    event = watch.run([TRUE], lambda: os.chdir("/"))
    assert event.cwd == "/"


def test_deleted_directory(watch: Watch, tmp_path: Path) -> None:
    """A directory that was removed is told by the name it had."""
    gone = tmp_path / "gone"
    gone.mkdir()
    event = watch.run([TRUE], lambda: (os.chdir(gone), gone.rmdir()))
    assert event.cwd == str(gone)


def test_program_in_memory(watch: Watch) -> None:
    """A program in an anonymous memory file is marked, and named as /proc does."""

    def act(hold: int) -> None:
        memory = os.memfd_create("[kthreadd]")
        os.write(memory, Path(CAT).read_bytes())
        read_from(hold, memory)

    with watch.held(act) as pid:
        event = exec_of(watch, pid)
        assert event.executable == procfs.link(f"/proc/{pid}/exe") == "/memfd:[kthreadd] (deleted)"
    assert event.flags & (Flag.MEMFD | Flag.DELETED) == Flag.MEMFD | Flag.DELETED


def test_file_named_like_memory_is_a_file(watch: Watch, tmp_path: Path) -> None:
    """A file on disk that is only named like a memory file is not taken for one, even once it is deleted."""
    impostor = Path(shutil.copy(CAT, tmp_path / "memfd:kthreadd"))
    event = watch.run([str(impostor)], lambda: os.close(0))
    assert (event.executable, event.flags & (Flag.MEMFD | Flag.DELETED)) == (str(impostor), 0)
    program = os.open(impostor, os.O_PATH | os.O_CLOEXEC)
    impostor.unlink()
    event = watch.run(["cat"], lambda: os.close(0), program=program)
    os.close(program)
    assert (event.executable, event.flags & (Flag.MEMFD | Flag.DELETED)) == (str(impostor), Flag.DELETED)


def test_deleted_program(watch: Watch, cat: Path) -> None:
    """A program whose file has no name left is marked, and told by the name that it had."""

    def act(hold: int) -> None:
        program = os.open(cat, os.O_PATH | os.O_CLOEXEC)
        cat.unlink()
        read_from(hold, program)

    with watch.held(act) as pid:
        event = exec_of(watch, pid)
        assert procfs.link(f"/proc/{pid}/exe") == f"{event.executable} (deleted)" == f"{cat} (deleted)"
    assert (event.flags & (Flag.MEMFD | Flag.DELETED), event.nlink) == (Flag.DELETED, 0)


def test_setuid_program(watch: Watch, cat: Path) -> None:
    """A setuid program run by an ordinary user is told with its mode, and with the user that it now acts as."""
    cat.chmod(0o4755)

    def act(hold: int) -> None:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        read_from(hold, str(cat))

    with watch.held(act) as pid:
        event = exec_of(watch, pid)
        truth = read_process(pid)
    assert truth is not None
    assert (event.uid, event.euid) == (truth.uid, truth.euid) == (NOBODY, 0)
    assert (event.gid, event.egid) == (truth.gid, truth.egid) == (NOBODY, NOBODY)
    assert stat.filemode(event.mode) == "-rwsr-xr-x"


def test_script_is_told_by_its_interpreter(watch: Watch, tmp_path: Path) -> None:
    """A script with a #! line runs its interpreter, with the script among the arguments."""
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh -e\nexit 0\n")
    script.chmod(0o755)
    event = watch.run([str(script), "argument"])
    assert event.executable == os.path.realpath("/bin/sh")
    assert event.args == ("/bin/sh", "-e", str(script), "argument")
    assert event.comm == "tool"


def test_ordinary_user(watch: Watch) -> None:
    """Real and effective user and group are told apart."""

    def prepare() -> None:
        os.setgroups([])
        os.setresgid(NOBODY, 7, 7)
        os.setresuid(NOBODY, 8, 8)

    event = watch.run([TRUE], prepare)
    assert (event.uid, event.euid, event.gid, event.egid) == (NOBODY, 8, NOBODY, 7)


def test_pid_namespace(watch: Watch) -> None:
    """A process in a pid namespace is told by the host's pid, and by the one that it has there."""

    def act(hold: int) -> None:
        checked(_libc.unshare(CLONE_NEWPID))
        wait(fork(lambda: read_from(hold)))

    with watch.held(act) as outer:
        event = watch.until(lambda event: isinstance(event, Exec) and event.parent_tgid == outer)
        assert isinstance(event, Exec)
        assert event.tgid not in {outer, 1}
        assert (event.ns_tgid, event.pid_ns) == (1, procfs.namespace(event.tgid, "pid"))
        assert event.pid_ns != procfs.namespace(os.getpid(), "pid")


def test_terminal(watch: Watch) -> None:
    """A process with a terminal is told with the terminal's name, and one without it with none."""
    master, slave = pty.openpty()

    def act(hold: int) -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        read_from(hold)

    with watch.held(act) as pid:
        event = exec_of(watch, pid)
        truth = read_process(pid)
    assert truth is not None
    assert event.tty == truth.tty == os.ttyname(slave).removeprefix("/dev/").replace("/", "")
    os.close(master)
    os.close(slave)
    assert not watch.run([TRUE], os.setsid).tty


def test_process_group_and_session(watch: Watch) -> None:
    """setsid(2) shows in the group and the session; a group of its own in the group alone."""
    event = watch.run([TRUE], os.setsid)
    assert (event.pgid, event.sid) == (event.tgid, event.tgid)
    event = watch.run([TRUE], lambda: os.setpgid(0, 0))
    assert (event.pgid, event.sid) == (event.tgid, os.getsid(0))


@pytest.fixture
def cgroup(cgroup_root: int, watch: Watch) -> Iterator[int]:
    """Give a descriptor of a cgroup made for the test."""
    name = f"auditor-test-{os.getpid()}-{watch.session}"
    os.mkdir(name, dir_fd=cgroup_root)
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=cgroup_root)
    yield fd
    os.close(fd)
    deadline = time.monotonic() + 5
    while True:
        try:
            os.rmdir(name, dir_fd=cgroup_root)
        except OSError:  # the kernel is not done with the process that was in it
            assert time.monotonic() < deadline
            time.sleep(0.001)
        else:
            return


def test_cgroup(watch: Watch, cgroup: int) -> None:
    """The cgroup is told by its id, which is its directory's inode number."""

    def join() -> None:
        fd = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=cgroup)
        os.write(fd, b"0")

    assert watch.run([TRUE], join).cgroup_id == os.fstat(cgroup).st_ino


def test_file_is_told_as_stat_has_it(watch: Watch, cat: Path) -> None:
    """Device, inode, size, times, mode and links are those of the file."""
    cat.with_name("second-name").hardlink_to(cat)
    cat.chmod(0o751)
    os.utime(cat, ns=(1, 1_234_567_890_123_456_789))
    truth = cat.stat()  # before: since Linux 6.13 an inode remembers in its change time that it was asked for
    event = watch.run([str(cat)], lambda: os.close(0))
    assert (os.major(truth.st_dev) << 20 | os.minor(truth.st_dev), truth.st_ino) == (event.dev, event.ino)
    assert (truth.st_size, truth.st_mode, truth.st_nlink) == (event.size, event.mode, event.nlink)
    assert (truth.st_mtime_ns, truth.st_ctime_ns) == (event.mtime_ns, event.ctime_ns)
    assert event.nlink == 2


def test_every_exec_of_a_process_is_told(watch: Watch) -> None:
    """A process that becomes one program after the other is told with each, as the same task."""
    pid = watch.call(lambda: become(["/bin/sh", "-c", "exec /bin/sh -c 'exec /bin/true last'"]))
    events = watch.of(watch.finish(pid), Exec, pid)
    assert [event.args[-1] for event in events] == [
        "exec /bin/sh -c 'exec /bin/true last'",
        "exec /bin/true last",
        "last",
    ]
    assert len({(event.tgid, event.start_ns) for event in events}) == 1


def test_failed_exec_is_not_told(watch: Watch, tmp_path: Path) -> None:
    """Trying to run what cannot be run is no exec."""
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)

    def act() -> None:
        for path in (tmp_path / "missing", tmp_path / "text"):
            try:
                os.execv(path, ["x"])
            except OSError:
                continue

    pid = watch.call(act)
    assert watch.of(watch.finish(pid), Exec, pid) == []
