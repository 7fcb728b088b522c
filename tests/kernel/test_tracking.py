"""Who is watched, and what that costs nobody else: labels from fork to exit."""

from __future__ import annotations

import os
import signal
import socket
import threading

from auditor.kernel.probes import AGENT, CALL_ROOT, Label, Probes
from auditor.lineage.table import Table
from auditor.model.events import Connect, Exec, Fork
from auditor.model.records import Flag, Kind, LabelSource
from tests.kernel.watching import Watch, become, fork, wait

TRUE = "/bin/true"


def be_busy() -> None:
    """Do some of everything that is told of those who are watched."""
    for _ in range(5):
        wait(fork(lambda: become([TRUE])))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", 9))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", ("127.0.0.1", 9))


def test_untracked_process_tells_nothing(watch: Watch) -> None:
    """A process that nobody watches leaves nothing in the ring, and what it does beside a watched one neither."""
    watch.settle()
    watch.others.clear()
    seen = len(watch.events)
    hold, release = os.pipe()
    busy = watch.untracked(lambda: (os.read(hold, 1), be_busy()))
    tracked = watch.call(lambda: None)
    os.write(release, b"!")
    assert watch.reap(busy) == 0
    watch.finish(tracked)
    assert watch.settle() == []
    assert watch.others == []
    assert {event.tgid for event in watch.events[seen : seen + 2]} == {tracked}
    os.close(hold)
    os.close(release)


def test_watched_process_tells_everything(watch: Watch) -> None:
    """The same doings, watched: each is told, so that the silence above means something."""
    pid = watch.call(be_busy)
    watch.finish(pid)
    kinds = [event.kind for event in watch.events]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        Kind.FORK: 6,
        Kind.EXEC: 5,
        Kind.EXIT: 6,
        Kind.CONNECT: 5,
        Kind.SEND: 5,
    }


def test_events_come_in_order(watch: Watch) -> None:
    """A process's records come as things happened: fork, exec, exit, with times that only grow."""
    pid = watch.call(lambda: become([TRUE]))
    own = [event for event in watch.finish(pid) if event.tgid == pid]
    assert [event.kind for event in own] == [Kind.FORK, Kind.EXEC, Kind.EXIT]
    times = [event.start_ns for event in own[:1]] + [event.time_ns for event in own]
    assert times == sorted(times)
    assert len({event.start_ns for event in own}) == 1


def test_fork_names_the_thread(watch: Watch) -> None:
    """Threads are no processes: none is told, and what a thread forks is its process's child, by that thread."""

    def act() -> None:
        thread = threading.Thread(target=lambda: wait(fork(lambda: None)))
        thread.start()
        thread.join()

    pid = watch.call(act)
    watch.finish(pid)
    first, second = watch.forks()
    assert (first.tgid, second.parent_tgid) == (pid, pid)
    assert second.parent_start_ns == first.start_ns
    assert second.parent_tid != pid


def test_fork_copies_the_label(watch: Watch) -> None:
    """The kernel's own labels: the call's first process is marked, what it forks is not, and both name the call."""
    release, hold = os.pipe()

    def act() -> None:
        child = fork(lambda: os.read(release, 1))
        os.read(release, 1)
        wait(child)

    pid = watch.call(act)
    child = watch.until(lambda event: isinstance(event, Fork) and event.parent_tgid == pid)
    own, inherited = watch.probes.label(pid), watch.probes.label(child.tgid)
    assert own is not None
    assert own == Label(own.start_ns, own.start_ns, pid, watch.session, LabelSource.INHERITED, CALL_ROOT)
    assert inherited == own._replace(start_ns=child.start_ns, bits=0)
    os.write(hold, b"!!")
    watch.finish(pid)
    os.close(release)
    os.close(hold)


def test_agent_in_a_tool_call_starts_calls_of_its_own(watch: Watch) -> None:
    """An agent's label on a process that a call started makes each of its children a call, in its own session."""
    release, hold = os.pipe()
    pid = watch.call(lambda: (os.read(release, 1), wait(fork(lambda: None))))
    label = watch.probes.label(pid)
    assert label is not None
    watch.probes.set_label(pid, label._replace(call_start_ns=0, call_tgid=0, bits=AGENT))
    os.write(hold, b"!")
    watch.finish(pid)
    child = next(event for event in watch.forks() if event.parent_tgid == pid)
    assert (child.call_tgid, child.call_start_ns) == (child.tgid, child.start_ns)
    assert child.flags & Flag.CALL_ROOT
    os.close(release)
    os.close(hold)


def test_label_taken_away(watch: Watch) -> None:
    """Without its label a process is told of no longer."""
    release, hold = os.pipe()
    pid = watch.call(lambda: (os.read(release, 1), be_busy()))
    watch.until(lambda event: event.tgid == pid)
    watch.probes.remove_label(pid)
    os.write(hold, b"!")
    assert watch.reap(pid) == 0
    watch.settle()
    assert [event.kind for event in watch.events if pid in {event.tgid, getattr(event, "parent_tgid", 0)}] == [
        Kind.FORK
    ]
    os.close(release)
    os.close(hold)


def test_agent_known_by_its_tick_stays_one_process(watch: Watch) -> None:
    """An agent found in /proc, whose start is known to a clock tick, is one process in the table whatever it does."""

    def act() -> None:
        connect()
        wait(fork(lambda: None))
        connect()
        become([TRUE])

    def connect() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", 9))

    pid = watch.agent(act)
    watch.finish(pid)
    table = Table()
    acting = [(event, table.apply(event)) for event in watch.events]
    own = {id(process) for event, process in acting if event.tgid == pid}
    assert len(own) == 1
    assert [type(event) for event, _ in acting if event.tgid == pid][:3] == [Exec, Connect, Connect]


def test_exec_corrects_the_start(watch: Watch) -> None:
    """A label that knows the start to a clock tick learns it exactly at exec, also as the call's name."""
    release, hold = os.pipe()
    code = f"exec 3<>/dev/udp/127.0.0.1/9; {TRUE}; :"
    pid = watch.untracked(lambda: (os.read(release, 1), become(["/bin/bash", "-c", code])))
    watch.probes.set_label(pid, Label(10_000_000, 10_000_000, pid, watch.session, LabelSource.SEEDED, CALL_ROOT))
    os.write(hold, b"!")
    watch.finish(pid)
    shell = watch.of(watch.events, Exec, pid)[0]
    child = watch.forks()[0]
    assert shell.start_ns == shell.call_start_ns != 10_000_000
    assert [(event.start_ns, event.call_start_ns) for event in watch.connects()] == [(shell.start_ns,) * 2]
    assert (child.parent_start_ns, child.call_start_ns) == (shell.start_ns, shell.start_ns)
    os.close(release)
    os.close(hold)


def test_candidates_are_shown_on_demand(watch: Watch, probes: Probes) -> None:
    """Untracked execs are shown as candidates while they are wanted, and watched ones stay what they are."""
    argv = ("true", f"candidate-{watch.session}")
    run = lambda: become(argv, TRUE)  # noqa: E731
    probes.show_candidates(wanted=True)
    try:
        shown = watch.untracked(run)
        assert watch.reap(shown) == 0
    finally:
        probes.show_candidates(wanted=False)
    hidden = watch.untracked(run)
    assert watch.reap(hidden) == 0
    tracked = watch.call(run)
    watch.finish(tracked)
    told = [(event.kind, event.tgid, event.session) for event in watch.others if getattr(event, "args", ()) == argv]
    assert told == [(Kind.CANDIDATE, shown, 0)]
    assert [event.kind for event in watch.of(watch.events, Exec, tracked)] == [Kind.EXEC]


def test_signal_to_the_whole_tree_leaves_no_label(watch: Watch) -> None:
    """A tool call that is killed with all that it started is gone from the kernel's table."""
    pid = watch.call(lambda: ([fork(signal.pause) for _ in range(5)], os.setpgid(0, 0), signal.pause()))
    watch.until(lambda _: sum(event.parent_tgid == pid for event in watch.forks()) == 5)
    for child in [event.tgid for event in watch.forks()]:
        os.kill(child, signal.SIGKILL)
    watch.reap(pid)
    for fork_event in watch.forks():
        watch.until_exit(fork_event.tgid)
    assert [tgid for tgid, label in watch.probes.labels() if label.session == watch.session] == []
