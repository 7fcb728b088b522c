"""Children under watch: started with a label in place, and what the probes tell of them read from the ring.

Each test has a session number of its own, so that the one ring serves them all.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from auditor.decode.wire import decode
from auditor.host.snapshots import read_process, seed_record
from auditor.kernel.probes import AGENT, Label, Probes
from auditor.model.events import Connect, Event, Exec, Exit, Fork
from auditor.model.records import Flag, LabelSource

PATIENCE_S = 10
FAILED = 98
"""Exit code of a child whose function raised."""

_numbers = itertools.count(1000)
_Kind = TypeVar("_Kind")


class Watch:
    """One test's session: its children, and the events of them so far."""

    def __init__(self, probes: Probes) -> None:
        self.probes = probes
        self.session = next(_numbers)
        self.events: list[Event] = []
        self.others: list[Event] = []
        """What the ring held of other sessions meanwhile."""
        self._children: list[int] = []
        # What another test left behind must not be charged to this one, or fill the ring.
        probes.remove_label(os.getpid())
        while self.read():
            pass
        self.others.clear()

    def call(self, act: Callable[[], object]) -> int:
        """Fork a child that runs `act`: the first process of a tool call, labelled by the kernel at fork."""
        own = os.getpid()
        self.probes.set_label(own, Label(0, 0, 0, self.session, LabelSource.REGISTERED, AGENT))
        try:
            return self._fork(act)
        finally:
            self.probes.remove_label(own)

    def agent(self, act: Callable[[], object]) -> int:
        """Fork a child that runs `act` once it is labelled as an agent, as one found in /proc is."""
        ready, go = os.pipe()
        pid = self._fork(lambda: (os.read(ready, 1), os.close(ready), os.close(go), act()))
        snapshot = read_process(pid)
        assert snapshot is not None
        label = Label(snapshot.start_ns, 0, 0, self.session, LabelSource.SEEDED, AGENT)
        self.probes.set_label(pid, label)
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.events += decode(seed_record(snapshot, time_ns=now, session=self.session, flags=Flag.AGENT))
        os.write(go, b"!")
        os.close(ready)
        os.close(go)
        return pid

    def untracked(self, act: Callable[[], object]) -> int:
        """Fork a child that nobody watches."""
        return self._fork(act)

    def run(self, argv: Sequence[str | bytes], prepare: Callable[[], object] = lambda: None, **how: object) -> Exec:
        """Run a program as a tool call, to its end. See `become` for `how`."""
        pid = self.call(lambda: (prepare(), become(argv, **how)))
        return self.of(self.finish(pid), Exec, pid)[-1]

    @contextlib.contextmanager
    def held(self, act: Callable[[int], object]) -> Iterator[int]:
        """Fork a tool call that runs `act` with a descriptor to read from, which comes to its end with the block.

        Gives the pid; the call has been waited for and its exit is read when the block is over.
        """
        hold, release = os.pipe()

        def begin() -> None:
            os.close(release)
            act(hold)

        pid = self.call(begin)
        os.close(hold)
        try:
            yield pid
        finally:
            os.close(release)
            self.finish(pid)

    def finish(self, pid: int) -> list[Event]:
        """Wait for a child and read until its exit; gives the session's events so far. It must have gone well."""
        status = self.reap(pid)
        assert status >> 8 != FAILED, "the child failed: see its traceback on stderr"
        self.until(lambda event: isinstance(event, Exit) and event.tgid == pid)
        return self.events

    def reap(self, pid: int) -> int:
        """Wait for a child; gives its status."""
        self._children.remove(pid)
        return os.waitpid(pid, 0)[1]

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        """Read until there is an event as wanted, and give it."""
        seen = 0
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for event in self.events[seen:]:
                if wanted(event):
                    return event
            seen = len(self.events)
            if not self.read():
                assert time.monotonic() < deadline, f"awaited in vain; there was only {self.events}"
                time.sleep(0.001)

    def until_exit(self, pid: int) -> Exit:
        """Read until the exit of this process, which may be nobody's child here."""
        return self.until(lambda event: isinstance(event, Exit) and event.tgid == pid)  # type: ignore[return-value]

    def read(self) -> bool:
        """Take what the ring holds; says whether that was anything."""
        block, _ = self.probes.ring.take(1 << 20)
        for event in decode(block):
            (self.events if event.session == self.session else self.others).append(event)
        return bool(block)

    def settle(self) -> list[Event]:
        """Read until a last known event, so that all that came before has been seen; gives what is new before it."""
        before = len(self.events)
        pid = self.call(lambda: None)
        self.finish(pid)
        return [event for event in self.events[before:] if event.tgid != pid]

    def of(self, events: Sequence[Event], kind: type[_Kind], tgid: int | None = None) -> list[_Kind]:
        """Choose the events of one type, of one process."""
        return [event for event in events if isinstance(event, kind) and tgid in {None, event.tgid}]

    def forks(self) -> list[Fork]:
        """Every fork so far."""
        return self.of(self.events, Fork)

    def execs(self) -> list[Exec]:
        """Every exec so far, without the agent found in /proc."""
        return [event for event in self.of(self.events, Exec) if event.label_source != LabelSource.SEEDED]

    def connects(self) -> list[Connect]:
        """Every connection so far."""
        return self.of(self.events, Connect)

    def close(self) -> None:
        """End what a failed test left behind."""
        for tgid in [tgid for tgid, label in self.probes.labels() if label.session == self.session]:
            if tgid != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(tgid, signal.SIGKILL)
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _fork(self, act: Callable[[], object]) -> int:
        pid = os.fork()
        if pid == 0:
            run_and_end(act)
        self._children.append(pid)
        return pid


def run_and_end(act: Callable[[], object]) -> None:
    """End this process after `act`, whatever happens; never returns."""
    try:
        act()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - must not unwind into the test that forked
        traceback.print_exc()
    finally:
        os._exit(FAILED)


def fork(act: Callable[[], object]) -> int:
    """Fork a child that runs `act` and ends; gives its pid."""
    pid = os.fork()
    if pid == 0:
        run_and_end(act)
    return pid


def wait(pid: int) -> None:
    """Wait for a child, which must end well."""
    assert os.waitpid(pid, 0)[1] == 0


def become(
    argv: Sequence[str | bytes], program: str | int | None = None, env: dict[bytes, bytes] | None = None
) -> None:
    """Run `program` (a path or a descriptor; argv[0] unless told) in this process."""
    os.execve(argv[0] if program is None else program, argv, {} if env is None else env)


def await_orphan(parent: int) -> None:
    """Wait until `parent` is this process's parent no longer."""
    deadline = time.monotonic() + PATIENCE_S
    while os.getppid() == parent:
        assert time.monotonic() < deadline
        time.sleep(0.001)
