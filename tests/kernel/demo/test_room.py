"""Rooms: programs in namespaces of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from auditor.demo.room import room
from auditor.errors import HostError


def test_room_has_its_own_namespaces_and_ends_whole() -> None:
    """A room's program sees other network, pid and mount namespaces than the host, and ends with what it started."""
    with room("auditor.demo.internet", "/run/nowhere", "any") as running:
        kinds = ("net", "pid", "mnt")
        inside = [Path(f"/proc/{running.pid}/ns/{kind}").readlink() for kind in kinds]
        assert not set(inside) & {Path(f"/proc/self/ns/{kind}").readlink() for kind in kinds}
        assert "NSpid:\t" + str(running.pid) + "\t1\n" in Path(f"/proc/{running.pid}/status").read_text()
    assert not Path(f"/proc/{running.pid}").exists()
    assert not Path("/run/nowhere").exists()


def test_dead_room_is_an_error() -> None:
    """Speaking to a room whose program was killed is a clear error."""
    with room("auditor.demo.internet", "/run/nowhere", "any") as running:
        os.kill(running.pid, signal.SIGKILL)
        with pytest.raises(HostError, match=r"unshare|ended early"):
            running.expect("open", 10)
