"""Every way to reach an address is told once, with the address as the kernel has it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

import pytest

from auditor.model.events import Connect
from auditor.model.records import Kind
from tests.kernel.netns import CLOSED_PORT, EXTERNAL, EXTERNAL6, OTHER_PORT, PORT, SECOND, Network
from tests.kernel.watching import Watch, fork, wait

V4, V6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
MAPPED = f"::ffff:{EXTERNAL}"
MSG_FASTOPEN = 0x20000000
IPPROTO_MPTCP = 262


def connects(watch: Watch, network: Network, act: Callable[[], object]) -> list[Connect]:
    """Give what is told of a tool call that does `act` in the network."""
    pid = watch.call(lambda: (network.enter(), act()))
    return watch.of(watch.finish(pid), Connect, pid)


def told(events: list[Connect]) -> list[tuple[str, str, str, int]]:
    """Say what each record says: kind, transport, address, port."""
    kinds = {Kind.CONNECT: "connect", Kind.SEND: "send"}
    return [(kinds[event.kind], event.transport, event.ip, event.port) for event in events]


@pytest.mark.parametrize(
    ("family", "kind", "address", "record"),
    [
        (V4, TCP, (EXTERNAL, PORT), ("connect", "tcp", EXTERNAL, PORT)),
        (V6, TCP, (EXTERNAL6, PORT), ("connect", "tcp", EXTERNAL6, PORT)),
        (V6, TCP, (MAPPED, PORT), ("connect", "tcp", EXTERNAL, PORT)),
        (V4, UDP, (EXTERNAL, PORT), ("connect", "udp", EXTERNAL, PORT)),
        (V6, UDP, (EXTERNAL6, PORT), ("connect", "udp", EXTERNAL6, PORT)),
        (V6, UDP, (MAPPED, PORT), ("connect", "udp", EXTERNAL, PORT)),
    ],
    ids=["4", "6", "mapped", "udp 4", "udp 6", "udp mapped"],
)
def test_connect(
    watch: Watch, network: Network, family: int, kind: int, address: tuple[str, int], record: object
) -> None:
    """connect(2) of each family and transport is told with address, port and transport; mapped addresses as IPv4."""
    events = connects(watch, network, lambda: socket.socket(family, kind).connect(address))
    assert told(events) == [record]
    assert events[0].scope == "external"


@pytest.mark.parametrize(
    ("family", "address", "record"),
    [
        (V4, (EXTERNAL, PORT), ("send", "udp", EXTERNAL, PORT)),
        (V6, (EXTERNAL6, PORT), ("send", "udp", EXTERNAL6, PORT)),
        (V6, (MAPPED, PORT), ("send", "udp", EXTERNAL, PORT)),
    ],
    ids=["4", "6", "mapped"],
)
def test_datagrams_without_connect(
    watch: Watch, network: Network, family: int, address: tuple[str, int], record: object
) -> None:
    """A socket that only sends is told once, however often it sends to the same address."""

    def act() -> None:
        with socket.socket(family, UDP) as sock:
            for _ in range(20):
                sock.sendto(b"x", address)
                sock.sendmsg([b"y"], [], 0, address)

    assert told(connects(watch, network, act)) == [record]


def test_each_new_peer_is_told(watch: Watch, network: Network) -> None:
    """A second address, a second port and a second socket are each told, once."""

    def act() -> None:
        with socket.socket(V4, UDP) as one, socket.socket(V4, UDP) as other:
            for _ in range(3):
                one.sendto(b"x", (EXTERNAL, PORT))
                one.sendto(b"x", (SECOND, PORT))
                one.sendto(b"x", (EXTERNAL, OTHER_PORT))
                other.sendto(b"x", (EXTERNAL, PORT))

    events = connects(watch, network, act)
    assert told(events) == [
        ("send", "udp", EXTERNAL, PORT),
        ("send", "udp", SECOND, PORT),
        ("send", "udp", EXTERNAL, OTHER_PORT),
        ("send", "udp", EXTERNAL, PORT),
    ]
    assert [event.cookie == events[0].cookie for event in events] == [True, True, True, False]


def test_connected_socket_sends_elsewhere(watch: Watch, network: Network) -> None:
    """A datagram from a connected socket to another address than its own is told; one to its own is not told again."""

    def act() -> None:
        with socket.socket(V4, UDP) as sock:
            sock.connect((EXTERNAL, PORT))
            sock.send(b"x")
            sock.sendto(b"x", (SECOND, PORT))

    assert told(connects(watch, network, act)) == [
        ("connect", "udp", EXTERNAL, PORT),
        ("send", "udp", SECOND, PORT),
    ]


def test_refused_connection_is_told(watch: Watch, network: Network) -> None:
    """An attempt counts: a connection that nobody answers is told."""

    def act() -> None:
        with socket.socket(V4, TCP) as sock:
            assert sock.connect_ex((EXTERNAL, CLOSED_PORT)) == errno.ECONNREFUSED

    assert told(connects(watch, network, act)) == [("connect", "tcp", EXTERNAL, CLOSED_PORT)]


def test_unreachable_connection_is_told(watch: Watch, network: Network) -> None:
    """A connection that the kernel itself turns down for want of a route is told."""

    def act() -> None:
        with socket.socket(V4, TCP) as sock:
            assert sock.connect_ex(("198.51.100.1", PORT)) == errno.ENETUNREACH

    assert told(connects(watch, network, act)) == [("connect", "tcp", "198.51.100.1", PORT)]


def test_connection_in_the_background_is_told(watch: Watch, network: Network) -> None:
    """A connection that is not waited for is told when it is asked for."""

    def act() -> None:
        with socket.socket(V4, TCP) as sock:
            sock.setblocking(False)
            assert sock.connect_ex((EXTERNAL, PORT)) in {0, errno.EINPROGRESS}

    assert told(connects(watch, network, act)) == [("connect", "tcp", EXTERNAL, PORT)]


def test_data_with_the_connection_is_told(watch: Watch, network: Network) -> None:
    """TCP Fast Open connects by sending; that is a connection like any other."""

    def act() -> None:
        with socket.socket(V4, TCP) as sock:
            sock.sendto(b"hello", MSG_FASTOPEN, (EXTERNAL, PORT))

    assert told(connects(watch, network, act)) == [("connect", "tcp", EXTERNAL, PORT)]


def has_multipath() -> bool:
    """Tell whether this kernel has multipath TCP."""
    try:
        socket.socket(V4, TCP, IPPROTO_MPTCP).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_multipath(), reason="this kernel has no multipath TCP")
def test_multipath_connection_is_told(watch: Watch, network: Network) -> None:
    """A multipath TCP connection is told."""

    def act() -> None:
        with socket.socket(V4, TCP, IPPROTO_MPTCP) as sock:
            sock.connect((EXTERNAL, PORT))

    assert told(connects(watch, network, act)) == [("connect", "tcp", EXTERNAL, PORT)]


def test_two_attempts_are_two_records(watch: Watch, network: Network) -> None:
    """Each attempt is told, in order, and the socket's cookie tells connections apart."""

    def act() -> None:
        for _ in range(2):
            with socket.socket(V4, TCP) as sock:
                sock.connect((EXTERNAL, PORT))

    events = connects(watch, network, act)
    assert told(events) == [("connect", "tcp", EXTERNAL, PORT)] * 2
    assert len({event.cookie for event in events}) == 2


def test_socket_passed_to_a_child_is_the_childs(watch: Watch, network: Network) -> None:
    """Who connects counts, not who made the socket."""

    def act() -> None:
        sock = socket.socket(V4, TCP)
        wait(fork(lambda: sock.connect((EXTERNAL, PORT))))

    pid = watch.call(lambda: (network.enter(), act()))
    watch.finish(pid)
    child = next(event.tgid for event in watch.forks() if event.parent_tgid == pid)
    assert [(event.tgid, event.call_tgid) for event in watch.connects()] == [(child, pid)]


def test_other_sockets_are_not_told(watch: Watch, network: Network) -> None:
    """Unix sockets and listening are no connections to an address."""

    def act() -> None:
        first, second = socket.socketpair()
        first.close()
        second.close()
        with socket.socket(socket.AF_UNIX) as sock:
            assert sock.connect_ex(f"\0nobody-{os.getpid()}") == errno.ECONNREFUSED
        with socket.socket(V4, TCP) as sock:
            sock.bind((EXTERNAL, 0))
            sock.listen()

    assert connects(watch, network, act) == []
