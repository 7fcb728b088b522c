"""The same offence by every way that a tool call can take to it is charged to the tool call."""

from __future__ import annotations

import ctypes
import itertools
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from auditor.lineage.table import Table
from auditor.model.events import Connect, Event, Exec, Fork
from auditor.model.processes import Process
from auditor.model.records import Flag, TaskId
from tests.kernel.netns import EXTERNAL, PORT, Network
from tests.kernel.watching import Watch, await_orphan, become, fork, run_and_end, wait

PROGRAM = "/bin/true"
ARGV = ("xmrig", "--offence", "a b", "", "ü")
BASH = "/bin/bash"
SHELL = f"exec 3<>/dev/tcp/{EXTERNAL}/{PORT}; exec -a {shlex.join((ARGV[0], PROGRAM, *ARGV[1:]))}"
SHELL_CHILD = f"exec 3<>/dev/tcp/{EXTERNAL}/{PORT}; (exec -a {shlex.join((ARGV[0], PROGRAM, *ARGV[1:]))}); :"
PYTHON = (
    "import socket, subprocess\n"
    f"socket.create_connection({(EXTERNAL, PORT)!r})\n"
    f"subprocess.run({list(ARGV)!r}, executable={PROGRAM!r}, check=True)\n"
)

CLONE_PARENT, CLONE_NEWPID = 0x8000, 0x20000000
SYS_CLONE = 56

_libc = ctypes.CDLL(None, use_errno=True)


def connect() -> None:
    """Connect from here."""
    socket.create_connection((EXTERNAL, PORT))


def offend() -> None:
    """Do both from here: connect, and run the program."""
    connect()
    become(ARGV, PROGRAM)


def by_shell() -> None:
    """Have a shell do it, the program in a child of it."""
    become([BASH, "-c", SHELL_CHILD])


def by_python() -> None:
    """Have Python do it, the program by subprocess."""
    become([sys.executable, "-I", "-S", "-c", PYTHON])


def as_daemon() -> None:
    """Leave the session, fork twice, and do it once init is the parent."""

    def leave() -> None:
        os.setsid()
        intermediate = os.getpid()
        fork(lambda: (await_orphan(intermediate), offend()))

    wait(fork(leave))


def in_thread() -> None:
    """Have a thread that is not the leader do it."""
    threading.Thread(target=offend).start()
    signal.pause()


def by_spawn() -> None:
    """Have a shell do it that was started by posix_spawn, which forks as vfork does."""
    wait(os.posix_spawn(BASH, [BASH, "-c", SHELL], {}))


def from_memory_by_descriptor() -> None:
    """Have a program without a file do it, run by its descriptor."""
    become(["bash", "-c", SHELL], _in_memory(BASH))


def from_memory_by_path() -> None:
    """Have a program without a file do it, run by its path in /proc."""
    become(["bash", "-c", SHELL], f"/proc/self/fd/{_in_memory(BASH)}")


def in_pid_namespace() -> None:
    """Have the first process of a new pid namespace do it."""
    assert _libc.unshare(CLONE_NEWPID) == 0
    wait(fork(offend))


def as_sibling() -> None:
    """Have a child do it whose parent is the agent, not the tool call."""
    pid = _libc.syscall(ctypes.c_long(SYS_CLONE), ctypes.c_long(CLONE_PARENT | signal.SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        run_and_end(offend)
    assert pid > 0


def as_leftover() -> None:
    """Leave a child behind that does it once this process is gone."""
    first = os.getpid()
    fork(lambda: (await_orphan(first), offend()))


def _in_memory(path: str) -> int:
    fd = os.memfd_create("kworker/0:0")
    os.write(fd, Path(path).read_bytes())
    return fd


class Way(NamedTuple):
    """What the tool call's first process does, and how far below it (in forks) connection and program are."""

    act: Callable[[], None]
    connects: int
    runs: int


WAYS = (
    Way(offend, 0, 0),
    Way(by_shell, 0, 1),
    Way(by_python, 0, 1),
    Way(as_daemon, 2, 2),
    Way(in_thread, 0, 0),
    Way(by_spawn, 1, 1),
    Way(from_memory_by_descriptor, 0, 0),
    Way(from_memory_by_path, 0, 0),
    Way(in_pid_namespace, 1, 1),
    Way(as_sibling, 1, 1),
    Way(as_leftover, 1, 1),
)


def reap_all() -> None:
    """Wait for every child."""
    with_children = True
    while with_children:
        try:
            os.wait()
        except ChildProcessError:
            with_children = False


class Told:
    """An agent's tool call as the events tell it, and what the process table makes of it."""

    def __init__(self, watch: Watch, agent: int) -> None:
        """Read until the program that the call ran has ended."""
        run = watch.until(lambda event: isinstance(event, Exec) and event.args == ARGV)
        watch.until_exit(run.tgid)
        self.events = watch.events
        first = next(e for e in watch.forks() if e.parent_tgid == agent)
        self.call = TaskId(first.tgid, first.start_ns)
        self.agent = agent
        table = Table()
        self._processes = [(event, table.apply(event)) for event in self.events]

    def only(self, kind: type[Connect | Exec], **facts: object) -> tuple[Event, Process]:
        """Give the only event of this type with these facts, and the process that acted."""
        found = [
            (event, process)
            for event, process in self._processes
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in facts.items())
        ]
        assert len(found) == 1, found
        event, process = found[0]
        assert process is not None
        return event, process

    def check(self, event: Event, process: Process, generations: int, session: int) -> None:
        """Hold an event and its process to the call that caused them."""
        assert (event.call_tgid, event.call_start_ns, event.session) == (*self.call, session)
        assert (process.call and process.call.task) == self.call
        assert (process.session and process.session.number) == session
        chain = list(itertools.islice(_upwards(process), generations + 2))
        assert [one.task for one in chain][generations] == self.call
        assert chain[generations].call_root
        assert [one.task.tgid for one in chain][generations + 1 :] == [self.agent]
        assert process.task == (event.tgid, event.start_ns)


def _upwards(process: Process | None):
    while process is not None:
        yield process
        process = process.parent


def check_offence(told: Told, way: Way, session: int) -> tuple[Event, Event]:
    """Hold both halves of the offence to the facts."""
    connected, who = told.only(Connect)
    assert (connected.ip, connected.port) == (EXTERNAL, PORT)
    assert (connected.transport, connected.scope) == ("tcp", "external")
    told.check(connected, who, way.connects, session)
    ran, who = told.only(Exec, args=ARGV)
    assert ran.executable == os.path.realpath(PROGRAM)
    told.check(ran, who, way.runs, session)
    return connected, ran


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.act.__name__)
def test_every_way_leads_back(watch: Watch, network: Network, way: Way) -> None:
    """A connection and a program are charged to the tool call, with their ancestry, whichever way they came about."""
    agent = watch.agent(lambda: (network.enter(), fork(way.act), reap_all()))
    told = Told(watch, agent)
    watch.finish(agent)
    check_offence(told, way, watch.session)


def test_vfork_child_is_charged(watch: Watch, network: Network, offender: Path) -> None:
    """A vfork child that connects before it runs the program is told apart from its parent, in the same call."""
    argv = [str(offender), EXTERNAL, str(PORT), PROGRAM, *ARGV]
    agent = watch.agent(lambda: (network.enter(), wait(fork(lambda: become(argv)))))
    told = Told(watch, agent)
    watch.finish(agent)
    connected, ran = check_offence(told, Way(by_spawn, 1, 1), watch.session)
    assert connected.tgid == ran.tgid != told.call.tgid


def test_agent_is_gone(watch: Watch, network: Network) -> None:
    """What a tool call does after its agent ended is charged to it, below the agent that is gone."""
    agent = watch.agent(lambda: (network.enter(), as_leftover()))
    watch.finish(agent)
    told = Told(watch, agent)
    check_offence(told, Way(offend, 0, 0), watch.session)
    order = [(type(event).__name__, event.tgid) for event in told.events]
    assert order.index(("Exit", agent)) < order.index(("Connect", told.call.tgid))


def test_call_is_gone(watch: Watch, network: Network) -> None:
    """A leftover acts after its tool call's first process ended, and is still charged to that call."""
    agent = watch.agent(lambda: (network.enter(), wait(fork(as_leftover))))
    told = Told(watch, agent)
    watch.finish(agent)
    connected, _ = check_offence(told, Way(as_leftover, 1, 1), watch.session)
    order = [(type(event).__name__, event.tgid) for event in told.events]
    assert order.index(("Exit", told.call.tgid)) < order.index(("Connect", connected.tgid))


def test_thread_is_told(watch: Watch, network: Network) -> None:
    """A connection from a thread names the thread; the program that it runs takes over the process's own id."""
    agent = watch.agent(lambda: (network.enter(), wait(fork(in_thread))))
    told = Told(watch, agent)
    watch.finish(agent)
    connected, ran = check_offence(told, Way(in_thread, 0, 0), watch.session)
    assert connected.tid != connected.tgid == told.call.tgid
    assert (ran.tid, ran.start_ns) == (ran.tgid, connected.start_ns)


def test_program_without_a_file_is_marked(watch: Watch, network: Network) -> None:
    """A program that lives in memory alone is named as such, and is marked."""
    agent = watch.agent(lambda: (network.enter(), wait(fork(from_memory_by_descriptor))))
    told = Told(watch, agent)
    watch.finish(agent)
    shell, _ = told.only(Exec, args=("bash", "-c", SHELL))
    assert shell.flags & (Flag.MEMFD | Flag.DELETED) == Flag.MEMFD | Flag.DELETED
    assert (shell.executable, shell.nlink) == ("/memfd:kworker/0:0 (deleted)", 0)
    program, _ = told.only(Exec, args=ARGV)
    assert program.flags & (Flag.MEMFD | Flag.DELETED) == 0


def test_every_child_of_the_agent_is_a_call(watch: Watch) -> None:
    """Each child of an agent is a tool call of its own; what it forks belongs to it."""
    grandchild = lambda: wait(fork(lambda: None))  # noqa: E731
    agent = watch.agent(lambda: [wait(fork(grandchild)) for _ in range(3)])
    watch.finish(agent)
    forks: list[Fork] = watch.forks()
    roots = [fork for fork in forks if fork.parent_tgid == agent]
    assert len(roots) == 3
    assert [(root.call_tgid, root.call_start_ns) for root in roots] == [(root.tgid, root.start_ns) for root in roots]
    assert all(root.flags & Flag.CALL_ROOT for root in roots)
    grandchildren = [fork for fork in forks if fork.parent_tgid != agent]
    assert [(one.parent_tgid, one.parent_start_ns) for one in grandchildren] == [(r.tgid, r.start_ns) for r in roots]
    assert [(one.call_tgid, one.call_start_ns) for one in grandchildren] == [(r.tgid, r.start_ns) for r in roots]
    assert not any(one.flags & Flag.CALL_ROOT for one in grandchildren)
