"""The reader of a ring buffer, on rings that the kernel fills."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from auditor.decode.wire import decode
from auditor.errors import HostError
from auditor.kernel import bpf
from auditor.kernel.ring import Ring
from auditor.model.events import Connect, Exec, Fork
from auditor.model.records import FRAME_SIZE, Kind
from tests.kernel.watching import Watch, become

RINGBUF = 27
"""BPF_MAP_TYPE_RINGBUF."""
HASH = 1
CONNECT_BYTES = 88


@pytest.fixture
def ring(watch: Watch) -> Ring:
    """Give the ring of the attached probes, empty."""
    watch.settle()
    return watch.probes.ring


def connect(watch: Watch, times: int) -> int:
    """Have a tool call connect so many times, to ports from 1 on; gives its pid."""

    def act() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for port in range(1, times + 1):
                sock.connect(("127.0.0.1", port))

    pid = watch.call(act)
    assert watch.reap(pid) == 0
    return pid


def test_empty_ring_gives_nothing(ring: Ring) -> None:
    """Taking from a ring that is empty gives no bytes, and takes none."""
    assert ring.pending() == 0
    assert ring.take(1 << 20) == (b"", [])
    assert ring.take(1 << 20, frozenset({Kind.EXEC})) == (b"", [])


def test_frames_are_taken_whole(watch: Watch, ring: Ring) -> None:
    """What is pending comes as whole frames, once, and the space is given back."""
    connect(watch, 50)
    pending = ring.pending()
    block, _ = ring.take(1 << 20)
    assert len(block) == pending
    assert [event.port for event in decode(block) if isinstance(event, Connect)] == list(range(1, 51))
    assert ring.pending() == 0
    assert ring.take(1 << 20) == (b"", [])


@pytest.mark.parametrize("limit", [1, CONNECT_BYTES, CONNECT_BYTES + 1, 1000])
def test_limit_ends_after_a_whole_frame(watch: Watch, ring: Ring, limit: int) -> None:
    """A limit is passed by less than a frame, and nothing is lost between one take and the next."""
    connect(watch, 30)
    events, blocks = [], 0
    while ring.pending():
        block, _ = ring.take(limit)
        assert 0 < len(block) < limit + 2 * CONNECT_BYTES
        events += decode(block)
        blocks += 1
    assert [event.port for event in events if isinstance(event, Connect)] == list(range(1, 31))
    assert blocks > 2


def test_watched_kinds_are_pointed_at(watch: Watch, ring: Ring) -> None:
    """The places of the kinds that are asked for come along, each the start of its frame."""
    pid = watch.call(lambda: become(["/bin/sh", "-c", "/bin/true; /bin/true; :"]))
    assert watch.reap(pid) == 0
    block, at = ring.take(1 << 20, frozenset({Kind.EXEC, Kind.FORK}))
    assert [type(decode(block[place:])[0]) for place in at] == [Fork, Exec, Fork, Exec, Fork, Exec]
    assert [int.from_bytes(block[place + FRAME_SIZE :][:2], "little") for place in at] == [Kind.FORK, Kind.EXEC] * 3


def test_second_reader_goes_on_where_the_first_was(watch: Watch, ring: Ring) -> None:
    """The position is the kernel's to keep: a reader that comes later does not see what was taken."""
    connect(watch, 3)
    ring.take(1 << 20)
    later = Ring(ring.fd, 2048 * 4096)
    assert later.pending() == 0
    later.close()


@pytest.fixture
def own_ring() -> Iterator[int]:
    """Give the descriptor of a ring buffer of 4 KiB that nobody writes to."""
    fd = bpf.create_map(bpf.MapShape("test_ring", RINGBUF, 0, 0, 4096, 0))
    yield fd
    os.close(fd)


def test_closed_ring_can_be_mapped_again(own_ring: int) -> None:
    """Closing a reader unmaps the ring and leaves its descriptor."""
    Ring(own_ring, 4096).close()
    again = Ring(own_ring, 4096)
    assert again.take(4096) == (b"", [])
    again.close()


def test_what_is_no_ring_is_refused() -> None:
    """A map that cannot be mapped into memory is an error that says so."""
    fd = bpf.create_map(bpf.MapShape("test_no_ring", HASH, 4, 4, 1, 0))
    with pytest.raises(HostError, match="cannot map the ring buffer"):
        Ring(fd, 4096)
    os.close(fd)


def test_wrong_size_is_refused(own_ring: int) -> None:
    """A ring is not mapped beyond its end."""
    with pytest.raises(HostError, match=f"cannot map the ring buffer: {os.strerror(errno.EINVAL)}"):
        Ring(own_ring, 4 * 4096)


def test_unknown_processor_is_refused(own_ring: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory may be reordered the ring is not read at all."""
    monkeypatch.setattr("os.uname", lambda: os.uname_result(("Linux", "host", "6.1", "", "aarch64")))
    with pytest.raises(HostError, match="aarch64 needs memory barriers"):
        Ring(own_ring, 4096)
