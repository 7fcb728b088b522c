"""The system calls of BPF, on maps and programs made for the test."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import struct
from collections.abc import Iterator

import pytest

from auditor.host.mounts import open_tracefs
from auditor.kernel import bpf
from auditor.kernel.bpf import Map, MapShape
from auditor.kernel.catalog import ATTACH_CONNECT4, PROG_CGROUP_SOCK_ADDR, PROG_RAW_TRACEPOINT, PROG_TRACEPOINT
from auditor.kernel.probes import tracepoint_id
from tests.kernel.watching import fork, wait

HASH, ARRAY = 1, 2
RETURN_1 = bytes.fromhex("b700000001000000 9500000000000000")
"""r0 = 1; exit"""
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
FALLS_OFF = bytes.fromhex("b700000001000000")
"""A program that does not end in an exit."""
CAPACITY = 1500
"""More than two batches of 512."""


@pytest.fixture
def table() -> Iterator[Map]:
    """Give a hash map of u32 to u64."""
    fd = bpf.create_map(MapShape("test_table", HASH, 4, 8, CAPACITY, 0))
    yield Map(fd, 4, 8)
    os.close(fd)


def key(number: int) -> bytes:
    """Give a key."""
    return struct.pack("<I", number)


def value(number: int) -> bytes:
    """Give a value."""
    return struct.pack("<Q", number)


def test_limit_on_locked_memory_is_lifted() -> None:
    """A process that may lock little may afterwards lock all that it can be allowed: older kernels count maps so."""

    def lift() -> None:
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (mmap.PAGESIZE, hard))
        bpf.lift_memory_limit()
        soft, now = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        assert soft == now
        assert now in {hard, resource.RLIM_INFINITY}

    wait(fork(lift))


def test_map_keeps_what_is_set(table: Map) -> None:
    """A value is there from set to delete; setting again replaces it, and deleting again is nothing."""
    assert table.get(key(7)) is None
    table.set(key(7), value(1))
    table.set(key(7), value(2))
    assert table.get(key(7)) == value(2)
    table.delete(key(7))
    table.delete(key(7))
    assert table.get(key(7)) is None


def test_full_map_says_so(table: Map) -> None:
    """One more than fits raises E2BIG, and changes nothing."""
    for number in range(CAPACITY):
        table.set(key(number), value(number))
    with pytest.raises(OSError) as caught:
        table.set(key(CAPACITY), value(0))
    assert caught.value.errno == errno.E2BIG
    assert sum(1 for _ in table.items()) == CAPACITY


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, CAPACITY])
def test_items_and_drain_give_everything_once(table: Map, size: int) -> None:
    """Going through a map gives each element once, over any number of batches; draining leaves it empty."""
    content = {key(number): value(number * 3) for number in range(size)}
    for each, held in content.items():
        table.set(each, held)
    seen = list(table.items())
    assert (len(seen), dict(seen)) == (size, content)
    drained = list(table.drain())
    assert (len(drained), dict(drained)) == (size, content)
    assert list(table.items()) == []
    assert list(table.drain()) == []


def test_array_has_no_end_marker_to_trip_over() -> None:
    """An array's elements are all there from the start, and go through like a hash's."""
    fd = bpf.create_map(MapShape("test_array", ARRAY, 4, 8, 5, 0))
    array = Map(fd, 4, 8)
    array.set(key(3), value(9))
    assert list(array.items()) == [(key(n), value(9 if n == 3 else 0)) for n in range(5)]
    os.close(fd)


def test_broken_descriptor_raises() -> None:
    """What is not a missing key is not swallowed."""
    broken = Map(1 << 20, 4, 8)
    for act in (lambda: broken.get(key(1)), lambda: broken.delete(key(1)), lambda: list(broken.items())):
        with pytest.raises(OSError) as caught:
            act()
        assert caught.value.errno == errno.EBADF


def test_map_shape_is_what_it_was_made_from() -> None:
    """A map can be asked what it was made from; another made from that is like it."""
    shape = MapShape("test_shape", ARRAY, 4, 16, 3, 1024)
    first = bpf.create_map(shape)
    second = bpf.create_map(bpf.map_shape(first))
    assert bpf.map_shape(first) == bpf.map_shape(second) == shape
    os.close(first)
    os.close(second)


def test_map_that_cannot_be_made_raises() -> None:
    """The kernel's refusal of a map comes as the error that it is."""
    with pytest.raises(OSError) as caught:
        bpf.create_map(MapShape("test_bad", HASH, 0, 8, 1, 0))
    assert caught.value.errno == errno.EINVAL


def test_descriptors_stay_with_their_process() -> None:
    """Maps, programs and links are not handed to programs that are started."""
    fds = [bpf.create_map(MapShape("test_cloexec", HASH, 4, 8, 1, 0))]
    fds.append(bpf.load_program(RETURN_0, PROG_RAW_TRACEPOINT, 0, "test_cloexec"))
    fds.append(bpf.attach_raw_tracepoint(fds[1], "sched_process_exit"))
    assert [os.get_inheritable(fd) for fd in fds] == [False] * 3
    for fd in fds:
        os.close(fd)


def test_refused_program_says_why() -> None:
    """A program that the verifier turns down is told with the verifier's last words."""
    with pytest.raises(bpf.RefusedError, match="last insn is not an exit or jmp") as caught:
        bpf.load_program(FALLS_OFF, PROG_RAW_TRACEPOINT, 0, "test_refused")
    assert caught.value.errno == errno.EINVAL


def test_cgroup_program_is_attached_beside_others(cgroup_root: int) -> None:
    """Two programs at the same place of the same cgroup stand beside each other; each goes with its descriptor."""
    programs = [bpf.load_program(RETURN_1, PROG_CGROUP_SOCK_ADDR, ATTACH_CONNECT4, f"test_{n}") for n in range(2)]
    name = f"auditor-test-bpf-{os.getpid()}"
    os.mkdir(name, dir_fd=cgroup_root)
    cgroup = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=cgroup_root)
    links = [bpf.attach_cgroup(program, cgroup, ATTACH_CONNECT4) for program in programs]
    assert attached(cgroup) == 2
    os.close(links.pop())
    assert attached(cgroup) == 1
    for fd in (*links, *programs, cgroup):
        os.close(fd)
    os.rmdir(name, dir_fd=cgroup_root)


def attached(cgroup: int) -> int:
    """Ask the kernel how many programs are attached for connect4 (BPF_PROG_QUERY)."""
    query = ctypes.create_string_buffer(struct.pack("<IIIIQII", cgroup, ATTACH_CONNECT4, 0, 0, 0, 0, 0), 128)
    bpf._bpf(16, query)
    return int(struct.unpack_from("<I", query, 24)[0])


def test_tracepoint_program_is_attached() -> None:
    """A tracepoint program is attached by its tracepoint's number; a number that is none is refused."""
    program = bpf.load_program(RETURN_0, PROG_TRACEPOINT, 0, "test_tracepoint")
    tracefs = open_tracefs()
    held = bpf.attach_tracepoint(program, tracepoint_id(tracefs, "syscalls/sys_enter_ioctl"))
    assert os.get_inheritable(held) is False
    os.close(held)
    with pytest.raises(OSError):
        bpf.attach_tracepoint(program, 0x7FFFFFFF)
    os.close(program)
    os.close(tracefs)


def test_raw_tracepoint_that_is_none_is_refused() -> None:
    """A name that is no raw tracepoint is an error."""
    program = bpf.load_program(RETURN_0, PROG_RAW_TRACEPOINT, 0, "test_raw")
    with pytest.raises(OSError) as caught:
        bpf.attach_raw_tracepoint(program, "no_such_tracepoint")
    assert caught.value.errno == errno.ENOENT
    os.close(program)


def test_unknown_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor whose system call numbers are not known nothing is called."""
    monkeypatch.setattr("os.uname", lambda: os.uname_result(("Linux", "host", "6.1", "", "riscv64")))
    with pytest.raises(OSError, match="no system call numbers known for riscv64"):
        bpf.create_map(MapShape("test_machine", HASH, 4, 8, 1, 0))
