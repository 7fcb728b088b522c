"""The worker's own side, without its process."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.decode.wire import decode
from auditor.host import inspection
from auditor.host.facts import REPLY, request
from auditor.host.inspection import examine, serve
from tests.unit.host.binaries import make_elf, opened


@pytest.fixture
def alarm() -> Iterator[None]:
    """Take alarms as the worker does, for one test."""
    before = signal.signal(signal.SIGALRM, inspection._on_alarm)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
def test_path_only_descriptor_is_reopened(tmp_path: Path) -> None:
    """A file that was opened without reading it is read all the same."""
    file = tmp_path / "program"
    file.write_bytes(make_elf())
    fd = os.open(file, os.O_PATH)
    try:
        assert examine(fd)["status"] == "ok"
    finally:
        os.close(fd)


@pytest.mark.usefixtures("alarm")
def test_slow_file_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file's time is over there are no facts, and the next file has its own time."""

    def never_end(_fd: int, _size: int) -> None:
        while True:  # an alarm before a pause would be missed
            signal.sigtimedwait([], 0.01)

    with opened(make_elf()) as fd:
        with monkeypatch.context() as patch:
            patch.setattr(inspection, "FILE_SECONDS", 0.01)
            patch.setattr(inspection.elf, "inspect", never_end)
            assert examine(fd)["status"] == "timeout"
        assert examine(fd)["status"] == "ok"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(
    ("error", "status"), [(MemoryError, "too-large"), (RecursionError, "malformed"), (PermissionError, "unreadable")]
)
def test_trouble_is_a_status(monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: str) -> None:
    """Whatever goes wrong over a file becomes its status."""

    def fail(_fd: int, _size: int) -> None:
        raise error

    monkeypatch.setattr(inspection.elf, "inspect", fail)
    with opened(b"") as fd:
        assert examine(fd)["status"] == status


@pytest.mark.usefixtures("alarm")
def test_pipe_is_unreadable() -> None:
    """A descriptor that is no file cannot be read at offsets, and hangs nothing."""
    reader, writer = os.pipe()
    try:
        assert examine(reader)["status"] in {"unreadable", "not-elf"}
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.usefixtures("alarm")
def test_request_without_a_file_is_answered() -> None:
    """A message whose descriptor got lost is answered as unreadable; hanging up ends the worker."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        message = request(9, dev=1, ino=2, size=3, ctime_ns=4, tgid=5, start_ns=6, time_ns=7)
        ours.send(message)
        ours.shutdown(socket.SHUT_WR)
        serve(theirs)
        reply = ours.recv(65536)
    assert REPLY.unpack_from(reply)[0] == 9
    assert decode(reply[REPLY.size :])[0].status == "unreadable"
