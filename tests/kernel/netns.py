"""A network of the tests' own: external-looking addresses on its loopback device, with listeners on them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess

from tests.kernel.watching import run_and_end

CLONE_NEWNET = 0x40000000

EXTERNAL = "203.0.113.66"
SECOND = "203.0.113.77"
EXTERNAL6 = "2001:db8::66"
PORT = 4444
OTHER_PORT = 4445
"""Datagrams are taken there, connections are not."""
CLOSED_PORT = 4446

_COMMANDS = (
    "link set lo up",
    f"address add {EXTERNAL}/24 dev lo",
    f"address add {SECOND}/24 dev lo",
    f"-6 address add {EXTERNAL6}/64 dev lo nodad",
)

_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A network namespace with a process in it that answers TCP and UDP on `PORT` of every address."""

    def __init__(self) -> None:
        ready, written = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            run_and_end(lambda: _serve(written))
        os.close(written)
        ok = os.read(ready, 1)
        os.close(ready)
        assert ok, "the network namespace could not be made: see stderr"
        self._fd = os.open(f"/proc/{self._pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self) -> None:
        """Move this process there."""
        if _libc.setns(self._fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def close(self) -> None:
        """End it."""
        os.close(self._fd)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _serve(ready: int) -> None:
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for command in _COMMANDS:
        subprocess.run(["ip", *command.split()], check=True)
    tcp = socket.create_server(("::", PORT), family=socket.AF_INET6, backlog=256, dualstack_ipv6=True)
    udp = [_datagram_socket(port) for port in (PORT, OTHER_PORT)]
    os.write(ready, b"!")
    os.close(ready)
    while True:
        for ready_one in select.select([tcp, *udp], [], [])[0]:
            if ready_one is tcp:
                with contextlib.suppress(OSError):
                    tcp.accept()[0].close()
            else:
                ready_one.recv(65536)


def _datagram_socket(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
    return sock
