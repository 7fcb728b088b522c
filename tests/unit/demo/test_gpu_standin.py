"""The stand-in for a program that mines on a GPU."""

from __future__ import annotations

import os
import socket

import pytest

from auditor.demo import gpu_standin


def test_refused_requests_are_borne() -> None:
    """The device that plays the GPU refuses every request, and the stand-in goes on."""
    device = os.open("/dev/full", os.O_RDWR)
    for request in gpu_standin.START:
        gpu_standin.ask(device, request)
    os.close(device)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(device)


def test_beats_end_when_the_pool_hangs_up() -> None:
    """The stand-in lives as long as its connection."""
    ours, theirs = socket.socketpair()
    theirs.sendall(b"welcome")
    theirs.shutdown(socket.SHUT_WR)
    device = os.open("/dev/full", os.O_RDWR)
    gpu_standin.beat_until(device, ours, None)
    assert ours.recv(1) == b""
    os.close(device)
    ours.close()
    theirs.close()
