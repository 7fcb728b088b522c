"""The end of a process is told once, with the status that its parent gets."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.model.events import Exit
from tests.kernel.watching import PATIENCE_S, Watch, become

SYS_EXIT = 60

_libc = ctypes.CDLL(None, use_errno=True)


def end_thread(code: int) -> None:
    """End this thread alone, as a program without a C library can."""
    _libc.syscall(ctypes.c_long(SYS_EXIT), ctypes.c_long(code))


def die_of(number: signal.Signals) -> Callable[[], None]:
    """Give what makes a process kill itself with a signal, without a core file."""

    def act() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
        os.kill(os.getpid(), number)
        signal.pause()

    return act


def exit_from_thread() -> None:
    """End the whole process from a thread that is not the leader."""
    threading.Thread(target=os._exit, args=(5,)).start()
    signal.pause()


def leader_first() -> None:
    """End the leader, and afterwards, from a thread that stays behind, the whole process."""
    leader_ended = threading.Event()

    def stay() -> None:
        leader_ended.wait()
        await_zombie_leader()
        os._exit(6)

    threading.Thread(target=stay).start()
    leader_ended.set()
    end_thread(3)


def all_by_themselves() -> None:
    """End the leader with a code, and the last thread with another: which counts depends on the kernel."""

    def stay() -> None:
        await_zombie_leader()
        end_thread(4)

    threading.Thread(target=stay).start()
    end_thread(3)


def await_zombie_leader() -> None:
    """Wait until this process's leader has ended."""
    stat = Path(f"/proc/self/task/{os.getpid()}/stat")
    deadline = time.monotonic() + PATIENCE_S
    while stat.read_text().rpartition(") ")[2][0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.001)


def exits(watch: Watch, pid: int) -> list[int]:
    """Give the status of each exit that was told of a process, once everything about it is read."""
    watch.settle()
    return [event.status for event in watch.of(watch.events, Exit, pid)]


@pytest.mark.parametrize(
    ("act", "possible"),
    [
        (lambda: os._exit(0), {0}),
        (lambda: os._exit(7), {7 << 8}),
        (lambda: os._exit(255), {255 << 8}),
        (die_of(signal.SIGTERM), {signal.SIGTERM}),
        (die_of(signal.SIGKILL), {signal.SIGKILL}),
        (die_of(signal.SIGSEGV), {signal.SIGSEGV}),
        (exit_from_thread, {5 << 8}),
        (leader_first, {6 << 8}),
        (all_by_themselves, {3 << 8, 4 << 8}),
    ],
    ids=["0", "7", "255", "TERM", "KILL", "SEGV", "from a thread", "after its leader", "thread by thread"],
)
def test_status_is_what_the_parent_gets(watch: Watch, act: Callable[[], None], possible: set[int]) -> None:
    """However a process ends, its end is told once, with the status of wait(2)."""
    pid = watch.call(act)
    status = watch.reap(pid)
    assert status in possible
    assert exits(watch, pid) == [status]


def test_end_of_a_thread_is_nobodys_end(watch: Watch) -> None:
    """Threads that end while the process goes on are not told."""

    def act() -> None:
        for _ in range(20):
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()

    pid = watch.call(act)
    watch.finish(pid)
    assert exits(watch, pid) == [0]
    assert [event.tgid for event in watch.forks()].count(pid) == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_threads_ending_at_once_end_the_process_once(watch: Watch, racer: Path) -> None:
    """Where the threads of a process end in the same moment, on two processors, one end is told."""
    rounds = 500
    before = watch.probes.tracked()
    pid = watch.call(lambda: become([str(racer), str(rounds)]))
    watch.until_exit(pid)
    assert watch.reap(pid) == 0
    watch.settle()
    racers = [event.tgid for event in watch.forks() if event.parent_tgid == pid]
    assert len(racers) == rounds
    ended = [event.tgid for event in watch.of(watch.events, Exit) if event.tgid in set(racers)]
    assert sorted(ended) == sorted(racers)
    assert watch.probes.tracked() == before


def test_label_goes_with_its_process(watch: Watch) -> None:
    """An ended process leaves no label behind, so that its pid means nothing when it comes again."""
    pids = [watch.call(lambda: None) for _ in range(10)]
    for pid in pids:
        watch.finish(pid)
    assert [watch.probes.label(pid) for pid in pids] == [None] * 10
