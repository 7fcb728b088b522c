"""The facts worker's own side: a process without privileges that looks at one file after the other.

What the files hold was written by the watched: limits on memory, descriptors and time see to it that the worst that
happens is a record without facts.
"""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import signal
import socket
from typing import Final, NoReturn

from auditor.host import elf, privileges, procfs
from auditor.host.facts import REPLY, REQUEST, Facts, blank, record

FILE_SECONDS: Final = 2.0
"""Time for one file. The largest (16 MiB of strings to search) take a twentieth of it."""

_MEMORY: Final = 192 << 20  # bytes of address space on top of what the process starts with
_DESCRIPTORS: Final = 16
_STATM: Final = "/proc/self/statm"


class SlowError(Exception):
    """The time for a file is over."""


def run(connection: socket.socket, uid: int, gid: int) -> NoReturn:
    """Be the worker: a forked child calls it and does not come back."""
    parent = os.getppid()
    _let_go(connection.fileno())
    privileges.drop_privileges(uid, gid)
    privileges.die_with_parent(parent)
    _limit()
    signal.signal(signal.SIGALRM, _on_alarm)
    serve(connection)
    os._exit(0)


def serve(connection: socket.socket) -> None:
    """Answer requests until the other side hangs up."""
    while True:
        message, fds, _, _ = socket.recv_fds(connection, REQUEST.size, 1)
        if not message:
            return
        try:
            facts = examine(fds[0]) if fds else blank("unreadable")
        finally:
            for fd in fds:
                os.close(fd)
        connection.send(message[: REPLY.size] + record(message, facts))


def examine(fd: int) -> Facts:
    """Return the facts about an open file, which may have been opened with O_PATH only. Never raises.

    Beyond what `elf.inspect` says, `status` may be `timeout`, `too-large` (the memory did not do) or `malformed`.
    """
    opened = fd
    try:
        signal.setitimer(signal.ITIMER_REAL, FILE_SECONDS)
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH:
            opened = procfs.reopen(fd)
        return elf.inspect(opened, os.fstat(opened).st_size)
    except SlowError:
        return blank("timeout")
    except OSError:
        return blank("unreadable")
    except MemoryError:
        return blank("too-large")
    except Exception:  # noqa: BLE001 - whatever else a parser meets in a hostile file is the file's fault
        return blank("malformed")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if opened != fd:
            os.close(opened)


def _let_go(keep: int) -> None:
    """Drop what the parent had open (its rings, its files, its terminal) and how it took signals."""
    gc.freeze()  # a collection would write to, and so copy, every page that is shared with the parent
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the terminal's keys are for the parent, which then hangs up
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))


def _limit() -> None:
    os.nice(10)
    memory = int(procfs.read_bytes(_STATM).split()[0]) * resource.getpagesize() + _MEMORY
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _on_alarm(_number: int, _frame: object) -> NoReturn:
    raise SlowError
