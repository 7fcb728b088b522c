"""A look in the mirror at start: a known program is run under watch, and what the probes tell is compared with /proc.

Wrong offsets do not fail, they read something else; this is what notices.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from typing import Any, Final

from auditor.decode.wire import decode
from auditor.errors import HostError
from auditor.host import procfs
from auditor.host.snapshots import read_process
from auditor.kernel.probes import CALL_ROOT, Label, Probes
from auditor.model.events import Connect, Event, Exec, Exit
from auditor.model.records import LabelSource

_SESSION: Final = 0xFFFFFFFF
_PATIENCE_S: Final = 2.0
_ARGUMENT: Final = "auditor self-test \u2713"
_DISCARD_PORT: Final = 9
_COMPARED: Final = (
    "parent_tgid", "uid", "gid", "euid", "egid", "pgid", "sid", "ns_tgid", "pid_ns", "mnt_ns", "net_ns", "comm",
    "executable", "cwd", "args", "env",
)  # fmt: skip


def self_test(probes: Probes) -> None:
    """Run a child under watch and compare. The ring is empty afterwards.

    Raises:
        HostError: what was reported wrongly, or not at all.

    """
    program = shutil.which("cat") or sys.executable
    hold_read, hold_write = os.pipe2(os.O_CLOEXEC)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _run(program, hold_read, go_read)
    try:
        probes.set_label(pid, Label(0, 0, pid, _SESSION, LabelSource.REGISTERED, CALL_ROOT))
        os.write(go_write, b"!")
        seen = _collect(probes, Exec)
        _compare_exec(pid, seen)
        _compare_connect(seen)
    finally:
        for fd in (hold_read, hold_write, go_read, go_write):
            os.close(fd)
        _, status = os.waitpid(pid, 0)
    _compare_exit(status, _collect(probes, Exit))


def _run(program: str, hold: int, go: int) -> None:
    """Be the child: wait for the label, connect, become the program, which reads `hold` until that is closed."""
    try:
        os.read(go, 1)
        os.dup2(hold, 0)
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", _DISCARD_PORT))
        os.execve(program, [program, "-", _ARGUMENT], {"AUDITOR": "self-test"})  # noqa: S606 - no shell is wanted
    finally:
        os._exit(127)


def _collect(probes: Probes, last: type) -> list[Event]:
    """Read the ring until an event of type `last` has come."""
    seen: list[Event] = []
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        block, _ = probes.ring.take(1 << 20)
        seen += [event for event in decode(block) if event.session == _SESSION]
        if any(isinstance(event, last) for event in seen):
            return seen
        time.sleep(0.0005)
    name = last.__name__.lower()
    raise HostError(f"self-test: no {name} was reported within {_PATIENCE_S:.0f} s; see `auditor doctor`")


def _compare_exec(pid: int, seen: list[Event]) -> None:
    event = next(event for event in seen if isinstance(event, Exec))
    truth = read_process(pid)
    if truth is None:
        raise HostError("self-test: the child died")
    wrong = [name for name in _COMPARED if getattr(event, name) != getattr(truth, name)]
    inode = truth.inode
    numbers: dict[str, tuple[Any, Any]] = {
        "tgid": (event.tgid, pid),
        "start_ns": (event.start_ns // procfs.TICK_NS, truth.start_ns // procfs.TICK_NS),
        "size": (event.size, inode.size),
        "mtime_ns": (event.mtime_ns, inode.mtime_ns),
        "ctime_ns": (event.ctime_ns, inode.ctime_ns),
        "mode": (event.mode, inode.mode),
        "nlink": (event.nlink, inode.nlink),
    }
    wrong += [name for name, (told, true) in numbers.items() if told != true]
    if wrong:
        raise HostError(
            f"self-test: the probes report a program's {', '.join(wrong)} wrongly on this kernel "
            f"({os.uname().release}); please report it"
        )


def _compare_connect(seen: list[Event]) -> None:
    told = [(event.ip, event.port, event.transport) for event in seen if isinstance(event, Connect)]
    if told != [("127.0.0.1", _DISCARD_PORT, "udp")]:
        raise HostError(f"self-test: a connection to 127.0.0.1:{_DISCARD_PORT} was reported as {told or 'nothing'}")


def _compare_exit(status: int, seen: list[Event]) -> None:
    told = next(event.status for event in seen if isinstance(event, Exit))
    if told != status:
        raise HostError(f"self-test: a program that ended with status {status:#x} was reported with {told:#x}")
