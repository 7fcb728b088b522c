"""Opens and ioctls of GPU devices, with `/dev/full` in a GPU's place: it answers most ioctls with ENOTTY."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditor.host.inodes import kernel_device
from auditor.kernel.probes import HOLDS_GPU, GpuCount, Probes
from auditor.model.events import Exec, GpuOpen, GpuUse
from auditor.model.records import Kind
from tests.kernel.watching import Watch, become, fork, wait

DEVICE = "/dev/full"
RDEV = kernel_device(1, 7)
GPU = 2
"""GPU_ROLE_GPU of bpf/wire.h."""
FIOCLEX = 0x5451
"""Answered by the kernel itself, with success, for every file."""
REFUSED = 0xC020462A
ENOTTY = -errno.ENOTTY
SYS_IOCTL = 16

_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def device(probes: Probes, tracefs: int) -> Iterator[str]:
    """Give the stand-in's path, with ioctls watched."""
    probes.set_devices([(RDEV, GPU)])
    probes.watch_ioctl(tracefs)
    yield DEVICE
    probes.unwatch_ioctl()
    list(probes.drain_gpu_counts())


def use(fd: int, *requests: int) -> None:
    """Make these ioctls, whatever comes of them."""
    for request in requests:
        try:
            fcntl.ioctl(fd, request)
        except OSError as error:
            assert error.errno == errno.ENOTTY  # noqa: PT017 - of the child


def counts_of(watch: Watch) -> list[GpuCount]:
    """Take what was counted for this test's session."""
    return [count for count in watch.probes.drain_gpu_counts() if count.session == watch.session]


def counted(watch: Watch, act: Callable[[], object]) -> dict[int, tuple[int, int]]:
    """Run a tool call; give what was counted of it: request to (calls, errors)."""
    pid = watch.call(act)
    watch.finish(pid)
    counts = counts_of(watch)
    assert {(count.tgid, count.rdev, count.role) for count in counts} <= {(pid, RDEV, GPU)}
    return {count.request: (count.calls, count.errors) for count in counts}


@pytest.fixture
def bell(watch: Watch) -> Iterator[Callable[[], bool]]:
    """Give what says whether the ring's reader was woken since it was last asked."""
    watch.settle()
    poll = select.epoll()
    poll.register(watch.probes.ring.fd, select.EPOLLIN | select.EPOLLET)
    poll.poll(0)
    yield lambda: bool(poll.poll(0))  # asked before the ring is read: an empty one is nothing to wake for
    poll.close()


def test_open_is_told_and_wakes_the_reader(watch: Watch, device: str, bell: Callable[[], bool]) -> None:
    """An open of a GPU device is told with its role and access, and does not wait for the reader's next look."""
    quiet, loud = watch.call(lambda: None), lambda: os.open(device, os.O_WRONLY)
    watch.reap(quiet)
    assert not bell()
    pid = watch.call(loud)
    watch.reap(pid)
    assert bell()
    watch.until_exit(pid)
    events = watch.of(watch.events, GpuOpen, pid)
    assert [(event.role, event.access) for event in events] == [("gpu", "write")]


def test_program_never_seen_wakes_the_reader(watch: Watch, bell: Callable[[], bool], tmp_path: Path) -> None:
    """A file that is run for the first time wakes the reader, which has its facts to read; run again it does not."""
    program = shutil.copy("/bin/true", tmp_path / "new")
    for first in (True, False):
        pid = watch.call(lambda: become([program]))
        watch.reap(pid)
        assert bell() is first
        watch.until_exit(pid)
        assert len(watch.of(watch.events, Exec, pid)) == 1


def test_open_of_another_device_is_not_told(watch: Watch, device: str) -> None:
    """Devices that are no GPUs are opened without a word."""
    pid = watch.call(lambda: [os.open(path, os.O_RDWR) for path in ("/dev/null", "/dev/zero", "/dev/urandom")])
    assert watch.of(watch.finish(pid), GpuOpen, pid) == []


def test_node_by_another_name_is_told(watch: Watch, device: str, tmp_path: Path) -> None:
    """A device is known by its number: a node made elsewhere is the same device. Making it is told, too."""
    node = tmp_path / "innocent"

    def act() -> None:
        os.mknod(node, 0o600 | 0o020000, os.makedev(1, 7))
        use(os.open(node, os.O_RDONLY), REFUSED)

    pid = watch.call(act)
    events = watch.finish(pid)
    assert [event.access for event in watch.of(events, GpuOpen, pid)] == ["mknod", "read"]
    assert [event.kind for event in watch.of(events, GpuUse, pid)] == [Kind.GPU_USE]


def test_first_ioctl_is_told_once(watch: Watch, device: str) -> None:
    """A process's first ioctl on a GPU is told with request and result, later ones are only counted."""
    pid = watch.call(lambda: use(os.open(device, os.O_RDWR), REFUSED, FIOCLEX, REFUSED))
    events = watch.of(watch.finish(pid), GpuUse, pid)
    assert [(event.role, event.request, event.result) for event in events] == [("gpu", events[0].request, ENOTTY)]
    assert {count.request: (count.calls, count.errors) for count in counts_of(watch)} == {
        REFUSED: (2, 2),
        FIOCLEX: (1, 0),
    }


def test_counts_add_up(watch: Watch, device: str) -> None:
    """10,000 ioctls are 10,000, by request, with their errors; what was taken is not given again."""

    def act() -> None:
        fd = os.open(device, os.O_RDWR)
        for _ in range(2_500):
            use(fd, REFUSED, FIOCLEX, REFUSED + 1, REFUSED)

    assert counted(watch, act) == {REFUSED: (5_000, 5_000), FIOCLEX: (2_500, 0), REFUSED + 1: (2_500, 2_500)}
    assert counts_of(watch) == []


def test_counts_of_threads_add_up(watch: Watch, device: str, caller: Path) -> None:
    """Two processors that count the same request for the first time in the same moment count two."""
    requests = 4_000
    pid = watch.call(lambda: become([str(caller), device, str(requests)]))
    watch.finish(pid)
    wrong = {count.request: count.calls for count in counts_of(watch) if count.calls != 2}
    assert wrong == {}


@pytest.mark.parametrize("cpu", sorted(os.sched_getaffinity(0)))
def test_every_processor_counts(watch: Watch, device: str, cpu: int) -> None:
    """Ioctls are seen on whichever processor they are made."""
    act = lambda: (os.sched_setaffinity(0, {cpu}), use(os.open(device, os.O_RDWR), REFUSED))  # noqa: E731
    assert counted(watch, act) == {REFUSED: (1, 1)}


def test_ioctl_of_another_device_is_not_counted(watch: Watch, device: str) -> None:
    """Ioctls on files, pipes, other devices and closed descriptors are not taken for the GPU's."""

    def act() -> None:
        use(os.open(device, os.O_RDWR), REFUSED)
        for fd in (os.open("/dev/null", os.O_RDWR), os.open("/", os.O_RDONLY), *os.pipe()):
            use(fd, FIOCLEX, REFUSED)
        for fd in (-1, 1 << 20, 77_777):
            assert _libc.ioctl(fd, REFUSED) == -1

    assert counted(watch, act) == {REFUSED: (1, 1)}


def test_upper_half_of_the_request_is_ignored(watch: Watch, device: str) -> None:
    """The kernel looks at 32 bits of a request; what stands above them does not hide it."""

    def act() -> None:
        fd = os.open(device, os.O_RDWR)
        request = 0xDEADBEEF << 32 | FIOCLEX
        assert _libc.syscall(ctypes.c_long(SYS_IOCTL), ctypes.c_ulong(fd), ctypes.c_ulong(request), 0) == 0
        assert (
            _libc.syscall(ctypes.c_long(SYS_IOCTL), ctypes.c_ulong(0xFEED << 32 | fd), ctypes.c_ulong(FIOCLEX), 0) == 0
        )

    assert counted(watch, act) == {FIOCLEX: (2, 0)}


def test_descriptor_by_other_numbers(watch: Watch, device: str) -> None:
    """A descriptor that was duplicated, far up too, is the same device."""

    def act() -> None:
        fd = os.open(device, os.O_RDWR)
        use(os.dup(fd), REFUSED)
        use(fcntl.fcntl(fd, fcntl.F_DUPFD, 900), REFUSED)

    assert counted(watch, act) == {REFUSED: (2, 2)}


def test_descriptor_from_the_parent(watch: Watch, device: str) -> None:
    """A child that uses what its parent had opened is counted itself, as a holder of a GPU, for the same call."""

    def act() -> None:
        fd = os.open(device, os.O_RDWR)
        wait(fork(lambda: use(fd, REFUSED)))

    pid = watch.call(act)
    watch.finish(pid)
    child = watch.forks()[-1]
    assert [(c.tgid, c.start_ns, c.call_tgid, c.calls) for c in counts_of(watch)] == [
        (child.tgid, child.start_ns, pid, 1)
    ]
    assert [(event.tgid, event.call_tgid) for event in watch.of(watch.events, GpuUse)] == [(child.tgid, pid)]


def test_holders_are_labelled(watch: Watch, device: str) -> None:
    """A process that opened a GPU is known to hold it, and so are those that it forks from then on."""
    release, hold = os.pipe()

    def act() -> None:
        before = fork(lambda: os.read(release, 1))
        os.open(device, os.O_RDONLY)
        after = fork(lambda: os.read(release, 1))
        os.read(release, 1)
        wait(before)
        wait(after)

    pid = watch.call(act)
    watch.until(lambda _: len(watch.forks()) == 3)
    labels = [watch.probes.label(event.tgid) for event in watch.forks()]
    assert [bool(label and label.bits & HOLDS_GPU) for label in labels] == [True, False, True]
    os.write(hold, b"!!!")
    watch.finish(pid)
    os.close(release)
    os.close(hold)


def test_untracked_process_is_not_counted(watch: Watch, device: str) -> None:
    """Who is not watched may use a GPU unseen."""
    pid = watch.untracked(lambda: use(os.open(device, os.O_RDWR), REFUSED, FIOCLEX))
    assert watch.reap(pid) == 0
    assert watch.settle() == []
    assert [count for count in watch.probes.drain_gpu_counts() if count.tgid == pid] == []


def test_watching_ends(watch: Watch, probes: Probes, tracefs: int) -> None:
    """Ioctls are seen while they are watched, and not before or after; watching twice is watching once."""
    probes.set_devices([(RDEV, GPU)])
    act = lambda: use(os.open(DEVICE, os.O_RDWR), REFUSED)  # noqa: E731
    seen = []
    for watching in (False, True, False, True):
        if watching:
            probes.watch_ioctl(tracefs)
            probes.watch_ioctl(tracefs)
        else:
            probes.unwatch_ioctl()
            probes.unwatch_ioctl()
        assert probes.watching_ioctl() is watching
        seen.append(counted(watch, act))
    probes.unwatch_ioctl()
    assert seen == [{}, {REFUSED: (1, 1)}, {}, {REFUSED: (1, 1)}]


def test_counting_goes_on_in_a_thread(watch: Watch, device: str) -> None:
    """Threads count for their process."""

    def act() -> None:
        fd = os.open(device, os.O_RDWR)
        threads = [threading.Thread(target=use, args=(fd, REFUSED, REFUSED)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert counted(watch, act) == {REFUSED: (6, 6)}
